"""Downloads from a real server on the loopback: resumed, checked, atomic."""

import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import threading

from depth_perception.errors import ModelError
from depth_perception.inference.cards import load_card
from depth_perception.inference.fetch import fetch
import numpy as np
import pytest

CONTENT = np.random.default_rng(0).bytes(900_001)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT; what the server's attributes say goes wrong does."""

    def do_GET(self):
        server = self.server
        start = 0
        asked = self.headers.get('Range')
        server.ranges.append(asked)
        if self.path != '/net.onnx':
            self.send_error(404)
            return
        if asked and server.resumes:
            start = int(asked.removeprefix('bytes=').rstrip('-'))
        if server.garbage:
            self.wfile.write(b'no HTTP at all\r\n\r\n')
            return
        self.send_response(206 if start else 200)
        self.send_header('Content-Length', server.length or str(len(CONTENT) - start))
        self.end_headers()
        end = len(CONTENT)
        if server.cuts:
            server.cuts -= 1
            end = min(end, start + 300_000)
        self.wfile.write(CONTENT[start:end])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        server.cuts, server.resumes, server.ranges = 0, True, []
        server.garbage, server.length = False, ''
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def card_for(tmp_path, monkeypatch):
    monkeypatch.setenv('DEPTH_PERCEPTION_CACHE', str(tmp_path / 'cache'))

    def make(source, sha256=DIGEST):
        path = tmp_path / 'net.yaml'
        path.write_text(
            f"id: net\ntask: mono\nartifact: {{file: net.onnx, sha256: '{sha256}', licence: MIT, "
            f"commercial: true, source: '{source}'}}\ninputs: []\nresize: {{policy: none}}\n"
            'output: {tensor: o, kind: depth_metric}\n'
        )
        return load_card(str(path))

    return make


def address(server, path='net.onnx'):
    return f'http://127.0.0.1:{server.server_port}/{path}'


def test_file_arrives_with_progress_and_is_not_fetched_twice(server, card_for):
    seen = []
    card = card_for(address(server))
    path = fetch(card, lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(seen) == seen
    assert not path.with_name('net.onnx.part').exists()
    fetch(card)
    assert len(server.ranges) == 1


def test_cut_connection_is_resumed_where_it_ended(server, card_for):
    server.cuts = 2
    assert fetch(card_for(address(server))).read_bytes() == CONTENT
    assert server.ranges == [None, 'bytes=300000-', 'bytes=600000-']


def test_server_without_ranges_starts_again(server, card_for):
    server.cuts, server.resumes = 1, False
    assert fetch(card_for(address(server))).read_bytes() == CONTENT


def test_wrong_file_is_deleted_and_never_put_in_place(server, card_for, tmp_path):
    with pytest.raises(ModelError, match=f'gave a file with sha256 {DIGEST}, the card net wants'):
        fetch(card_for(address(server), '0' * 64))
    assert list((tmp_path / 'cache' / 'models').iterdir()) == []


def test_unknown_hash_needs_trust(server, card_for):
    card = card_for(address(server), '')
    with pytest.raises(ModelError, match='--trust-first-use'):
        fetch(card)
    assert fetch(card, trust_first_use=True).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ('source', 'words'),
    [
        ('file:///etc/passwd', 'only https is fetched'),
        ('http://192.0.2.1/net.onnx', 'only https is fetched'),
        ('', 'nobody offers it for download'),
    ],
)
def test_other_sources_are_refused(card_for, source, words):
    with pytest.raises(ModelError, match=words):
        fetch(card_for(source))


def test_missing_file_on_the_server_is_told(server, card_for):
    with pytest.raises(ModelError, match='answers 404'):
        fetch(card_for(address(server, 'other.onnx')))


def test_server_that_speaks_no_http_is_told(server, card_for):
    server.garbage = True
    with pytest.raises(ModelError, match=r'download stopped after 0 bytes \(no HTTP'):
        fetch(card_for(address(server)))


def test_length_that_is_no_number_is_not_believed(server, card_for):
    server.length = 'plenty'
    assert fetch(card_for(address(server))).read_bytes() == CONTENT
