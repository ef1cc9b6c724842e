"""The types of the messages in a recording: the standard ones, and those that it describes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import re
import struct
from typing import Any

from depth_perception.errors import RecordingError
from depth_perception.evaluation.bag_parts import Channel, DamagedError

_NAME = re.compile(r'[A-Za-z]\w*', re.ASCII)
_KIND = re.compile(r'[A-Za-z]\w*(/[A-Za-z]\w*){1,3}', re.ASCII)
_SEPARATOR = '=' * 80 + '\n'
_IDL_TITLE = re.compile(r'\AIDL: .*\n')
_MAX_DEFINITION = 1 << 18
_MAX_FIELDS = 1000
_MAX_UNROLLED = 4096  # rosbags writes out the code of each element of these arrays
_MAX_ELEMENTS = 1 << 24
_BASE, _KNOWN, _ARRAY = 1, 2, 3  # rosbags.interfaces.Nodetype


def typestore() -> Any:
    """Return the types of the standard messages.

    Raises:
        RecordingError: If rosbags is not installed.
    """
    try:
        from rosbags.typesys import get_typestore, Stores
    except ImportError:
        raise RecordingError('bags need the package rosbags: pip install rosbags') from None
    return get_typestore(Stores.ROS2_JAZZY)


class MessageTypes:
    """Makes messages of their bytes.

    Attributes:
        warnings: Type -> why its definition in the recording cannot be used.
        trouble: Why none of the definitions can be used; '' if they can.
    """

    def __init__(self, channels: Iterable[Channel]) -> None:
        """Take up the definitions that the channels come with."""
        self._store = typestore()
        self.warnings: dict[str, str] = {}
        self.trouble = ''
        found: dict[str, Any] = {}
        described = {channel.kind: channel for channel in channels if channel.definition}
        for kind, channel in described.items():
            try:
                found.update(_parsed(channel))
            except DamagedError as error:
                self.warnings[kind] = str(error)
        try:
            self._take(found)
        except _parse_errors() as error:
            self._store = typestore()
            self.trouble = f'its definitions of messages cannot be used: {error!r}'

    def __contains__(self, kind: str) -> bool:
        return kind in self._store.fielddefs

    def message(self, data: bytes, kind: str) -> Any:
        """Return the message of serialised bytes.

        Raises:
            DamagedError: If they are not a message of that type.
        """
        from rosbags.serde import SerdeError

        errors: tuple[type[Exception], ...] = (
            *_parse_errors(), SerdeError, struct.error, MemoryError, OverflowError,
        )  # fmt: skip
        try:
            return self._store.deserialize_cdr(data, kind)
        except errors as error:
            raise DamagedError(f'{type(error).__name__}: {error}'.rstrip(': ')) from None

    def _take(self, found: Mapping[str, Any]) -> None:
        """Add types; where the recording's own differ from the standard ones, they win."""
        standard = self._store.fielddefs
        taken = {
            kind: entry
            for kind, entry in found.items()
            if kind not in standard or _differ(entry, standard[kind])
        }
        for kind in standard.keys() & taken.keys():
            del self._store.fielddefs[kind], self._store.types[kind]
        if taken:
            self._store.register(taken)


def _differ(one: Any, other: Any) -> bool:
    return [(name.lower(), kind) for name, kind in one[1]] != [
        (name.lower(), kind) for name, kind in other[1]
    ]


def _parse_errors() -> tuple[type[Exception], ...]:
    from rosbags.typesys import TypesysError

    return (
        TypesysError, LookupError, ValueError, TypeError, AttributeError, AssertionError,
        RecursionError, SyntaxError,
    )  # fmt: skip


def _parsed(channel: Channel) -> dict[str, Any]:
    """Return type -> (constants, fields) of a definition and of those in it.

    Raises:
        DamagedError: If it cannot be understood, or would make rosbags write endless code.
    """
    from rosbags.typesys import get_types_from_idl, get_types_from_msg

    if len(channel.definition) > _MAX_DEFINITION:
        raise DamagedError(f'its definition has more than {_MAX_DEFINITION} characters')
    try:
        if channel.language == 'ros2idl':
            found = {}
            for part in channel.definition.split(_SEPARATOR):
                text = _IDL_TITLE.sub('', part)
                found.update(get_types_from_idl(text) if text.strip() else {})
        else:
            found = get_types_from_msg(channel.definition, channel.kind)
    except _parse_errors() as error:
        raise DamagedError(
            f'its definition is wrong: {str(error).partition(chr(10))[0]}'
        ) from None
    _check(found)
    return dict(found)


def _check(found: Mapping[str, Any]) -> None:
    unrolled = fields = 0
    for kind, entry in found.items():
        constants, members = entry[0], entry[1]
        fields += len(constants) + len(members)
        names = [name for name, *_ in constants] + [name for name, _ in members]
        if not _KIND.fullmatch(kind) or not all(_NAME.fullmatch(name) for name in names):
            raise DamagedError(f'{kind} has names that no type can have')
        for _, description in members:
            if int(description[0]) == _ARRAY:
                element, length = description[1]
                plain = int(element[0]) == _BASE and element[1][0] != 'string'
                unrolled += 0 if plain else length
                if length > _MAX_ELEMENTS:
                    raise DamagedError(f'{kind} has an array of {length} elements')
    if unrolled > _MAX_UNROLLED or fields > _MAX_FIELDS:
        raise DamagedError('its definition is too long')
