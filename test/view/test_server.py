"""The web server: what it gives, and whom it refuses."""

import contextlib
import json
import re
import socket
import threading

from depth_perception.core.colours import ColourScale
from depth_perception.errors import SettingsError
from depth_perception.resources import resource_path
from depth_perception.view import server as server_module
from depth_perception.view.feed import Feeds
import numpy as np
import pytest


@pytest.fixture
def feeds(messages):
    feeds = Feeds()
    feed = feeds.feed('/front')
    feed.take('info', messages.info(1))
    feed.take('depth', messages.image(messages.depth, 1))
    return feeds


def test_page_and_all_that_it_asks_for_are_served(feeds, serve):
    client, _ = serve(feeds)
    status, page, headers = client.get('/')
    assert status == 200
    assert headers['Content-Type'].startswith('text/html')
    wanted = set(re.findall(r'(?:src|href)="([^":]+)"', page.decode()))
    for name in [*wanted]:
        text = client.get(f'/{name}')[1].decode()
        wanted |= {f[2:] for f in re.findall(r"from '(\./[\w.]+)'", text)}
    assert wanted == {path.name for path in resource_path('web').iterdir()} - {'view.html'}
    for name in wanted:
        status, body, _ = client.get(f'/{name}')
        assert (status, body) == (200, resource_path('web', name).read_bytes())


def test_page_asks_no_other_site(feeds, serve):
    client, _ = serve(feeds)
    policy = client.get('/')[2]['Content-Security-Policy']
    assert policy.startswith("default-src 'none'")
    assert "connect-src 'self'" in policy
    for path in resource_path('web').iterdir():
        found = re.findall(r'https?://[^\s\'"]+', path.read_text(encoding='utf-8'))
        assert [url for url in found if 'www.w3.org' not in url] == []


def test_palettes_are_those_of_core(feeds, serve):
    client, _ = serve(feeds)
    tables = json.loads(client.get('/palettes.json')[1])['tables']
    assert tables['turbo'] == ColourScale(1.0, 2.0, inverse=True).table.tolist()
    assert tables['viridis'][128] == [33, 145, 140]


def test_frame_then_nothing_new_then_the_next(feeds, serve, messages, parsed, monkeypatch):
    monkeypatch.setattr(server_module, '_WAIT_S', 0.05)
    client, _ = serve(feeds)
    header, parts = parsed(client.get('/frame?camera=/front&after=-1')[1])
    assert header['name'] == '/front'
    assert header['cameras'] == ['/front']
    depth = np.frombuffer(parts['depth'], '<f2').reshape(4, 7)
    np.testing.assert_allclose(depth, messages.depth, rtol=5e-4)
    again, none = parsed(client.get(f'/frame?camera=/front&after={header["number"]}')[1])
    assert (none, 'grid' in again) == ({}, False)
    feeds.feed('/front').take('depth', messages.image(messages.depth * 0.5, 2))
    after, _ = parsed(client.get(f'/frame?camera=/front&after={header["number"]}')[1])
    assert after['stamp_ns'] == '2'


def test_a_frame_that_comes_later_is_waited_for(feeds, serve, messages, parsed):
    client, _ = serve(feeds)
    first, _ = parsed(client.get('/frame')[1])
    later = threading.Thread(
        target=lambda: feeds.feed('/front').take('depth', messages.image(messages.depth, 9))
    )
    later.start()
    header, _ = parsed(client.get(f'/frame?after={first["number"]}')[1])
    later.join()
    assert header['stamp_ns'] == '9'


def test_a_camera_that_is_not_there_is_told_with_what_to_do(serve, parsed, monkeypatch):
    monkeypatch.setattr(server_module, '_WAIT_S', 0.0)
    feeds = Feeds()
    feeds.remark = 'nobody publishes'
    client, _ = serve(feeds)
    header, _ = parsed(client.get('/frame?camera=/x')[1])
    assert header == {'cameras': [], 'remark': 'nobody publishes', 'parts': {}}


def test_there_are_no_other_files(feeds, serve):
    client, _ = serve(feeds)
    for target in (
        '/../setup.py', '/..%2f..%2fsetup.py', '/%2e%2e/setup.py', '/a/../view.js', '//etc/group',
        '/view.js/', '/.', '/view.html%00', '\\..\\view.js', '/server.py', '/a/../view.css',
    ):  # fmt: skip
        assert client.get(target)[:2] == (404, b'Not Found\n')


def test_only_names_of_this_machine_are_answered(feeds, serve):
    client, _ = serve(feeds)
    for host in ('127.0.0.1:8765', 'localhost', 'LOCALHOST:1', '[::1]:9', '127.4.5.6'):
        assert client.get('/view.css', host=[host])[0] == 200
    for host in (
        'robot.example', '127.0.0.1.evil.example', 'evil.example:8765', '0.0.0.0', '',
        '127.0.0.1@evil.example', '192.168.1.7', 'localhost.evil.example', '[::1', '[',
    ):  # fmt: skip
        for target in ('/view.css', '/frame'):
            assert client.get(target, host=[host])[0] == 403


def test_none_or_two_names_are_refused(feeds, serve):
    client, _ = serve(feeds)
    assert client.get('/frame', host=[])[0] == 403
    assert client.get('/frame', host=['localhost', 'localhost'])[0] == 403


def test_other_sites_get_nothing(feeds, serve):
    client, _ = serve(feeds)
    for origin in ('http://evil.example', 'null', 'http://[', f'https://127.0.0.1:{client.port}'):
        assert client.get('/frame', Origin=origin)[0] == 403
    assert client.get('/frame', Sec_Fetch_Site='cross-site')[0] == 403
    same = {'Origin': f'http://127.0.0.1:{client.port}', 'Sec_Fetch_Site': 'same-origin'}
    assert client.get('/frame', **same)[0] == 200


def test_huge_requests_are_refused(feeds, serve):
    client, _ = serve(feeds)
    assert client.get('/frame?camera=' + 'a' * 3000)[0] == 414
    assert client.get('/' + 'a' * 70_000)[0] == 414
    assert client.get('/', **{'X_Long': 'a' * 70_000})[0] == 431
    assert client.get('/', **{f'X_{i}': 'a' for i in range(120)})[0] == 431
    assert client.get('/frame?' + '&'.join('ab=c' for _ in range(200)))[0] == 400


def test_there_is_nothing_to_write(feeds, serve):
    client, _ = serve(feeds)
    for method in ('POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'):
        assert client.get('/frame', method=method)[0] == 501


def test_odd_numbers_are_no_error(feeds, serve, parsed):
    client, _ = serve(feeds)
    for after in ('x', '-5', '1e9', '9' * 400, '%D9%A3', ''):
        status, body, _ = client.get(f'/frame?after={after}')
        assert status == 200
        assert 'grid' in parsed(body)[0]


def test_elsewhere_frames_want_the_token(feeds, serve):
    client, server = serve(feeds, host='0.0.0.0')
    assert len(server.token) >= 32
    assert server.url.endswith(f':{client.port}/?token={server.token}')
    assert client.get('/', host=['robot.example'])[0] == 200
    for query in (
        '',
        '?token=',
        f'?token={server.token[:-1]}',
        '?token=%ff',
        f'?t={server.token}',
    ):
        assert client.get(f'/frame{query}', host=['robot.example'])[0] == 401
    assert client.get(f'/frame?token={server.token}', host=['robot.example'])[0] == 200


def test_the_loopback_interface_needs_none(feeds, serve):
    client, server = serve(feeds)
    assert server.token == ''
    assert server.url == f'http://127.0.0.1:{client.port}/'


def test_an_address_in_use_is_told(feeds, serve):
    client, _ = serve(feeds)
    with pytest.raises(SettingsError, match=rf'port {client.port}.*--port'):
        server_module.ViewServer(feeds, '127.0.0.1', client.port)
    with pytest.raises(SettingsError, match=r'cannot listen on no\.such'):
        server_module.ViewServer(feeds, 'no.such.invalid', 0)


def test_connections_are_bounded_and_those_that_end_make_room(feeds, serve, monkeypatch):
    client, _ = serve(feeds)
    idle = [
        socket.create_connection(('127.0.0.1', client.port), timeout=20.0)
        for _ in range(server_module.MOST_CONNECTIONS)
    ]
    for connection in idle:  # each has a thread once it is answered
        connection.sendall(b'GET /view.css HTTP/1.1\r\nHost: localhost\r\n\r\n')
        assert connection.recv(12) == b'HTTP/1.1 200'
    with socket.create_connection(('127.0.0.1', client.port), timeout=20.0) as beyond:
        assert beyond.recv(1) == b''
    for connection in idle:
        connection.close()
    for _ in range(2000):
        with contextlib.suppress(OSError):
            assert client.get('/view.css')[0] == 200
            break
    else:
        raise AssertionError('no room was made')


def test_a_client_that_never_reads_holds_up_nobody_and_nothing_grows(
    feeds, serve, messages, monkeypatch
):
    """It stalls with its first answer; others get every frame, and encoders keep one frame."""
    client, server = serve(feeds)
    large = np.full((960, 960), 2.5, np.float32)
    feed = feeds.feed('/front')
    feed.take('info', messages.info(1, 960, 960))
    with socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(('127.0.0.1', client.port))
        for i in range(4):
            feed.take('depth', messages.image(large, 10 + i))
            stuck.sendall(b'GET /frame HTTP/1.1\r\nHost: localhost\r\n\r\n')
            status, body, _ = client.get('/frame')
            assert status == 200
            assert len(body) > large.size * 2
        assert len(server._encoders) == 1
        held = sum(len(encoded._bytes) for encoded in server._encoders.values())
        assert held < 1.1 * len(body)
