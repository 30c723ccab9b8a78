"""Which virtual server and which real server somebody means: as configured, or as the log writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from kad.ipvs.service import Service, key_of
from kad.model.ipvs import RealServer, VirtualServer
from kad.model.ipvs_table import DestinationKey

T = TypeVar("T")


class Unknown(Exception):
    """Nothing has that name, or more than one thing."""


def find_service(services: Mapping[str, Service], text: str) -> Service:
    """Raises Unknown."""
    wanted = _plain(text)
    exact = [service for service in services.values() if _plain(service.configured.name) == wanted]
    found = exact or [one for one in services.values() if wanted in _names_of_service(one.configured)]
    known = (service.configured.name for service in services.values())
    return _only(found, f"virtual_server {text}", (one.configured.name for one in found), known)


def find_server(service: Service, text: str) -> DestinationKey:
    """Raises Unknown."""
    wanted = _plain(text)
    found = [one.configured for one in service.servers.values() if wanted in _names_of_server(service, one.configured)]
    known = (_text(one.configured) for one in service.servers.values())
    name = f"real_server {text} in virtual_server {service.configured.name}"
    return key_of(_only(found, name, map(_text, found), known))


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _names_of_service(configured: VirtualServer) -> set[str]:
    address, port, protocol = configured.address, configured.port, configured.protocol
    names = [configured.name, configured.label]
    if configured.group is not None:
        names.append(configured.group)
    elif address is not None:
        names += _at(address, port)
    return {_plain(one) for name in names for one in (name, f"{name} {protocol}", f"{name}/{protocol}")}


def _names_of_server(service: Service, server: RealServer) -> set[str]:
    return {*map(_plain, _at(server.address, server.port)), _plain(server.label_in(service.configured)), server.address}


def _at(address: str, port: int) -> Iterator[str]:
    yield f"{address} {port}"
    yield f"[{address}]:{port}"
    if ":" not in address:
        yield f"{address}:{port}"
    if not port:
        yield address


def _text(server: RealServer) -> str:
    return f"{server.address} {server.port}"


def _only(found: list[T], name: str, matches: Iterable[str], known: Iterable[str]) -> T:
    if len(found) == 1:
        return found[0]
    if found:
        raise Unknown(f"{name} may be each of: {', '.join(matches)}")
    raise Unknown(f"there is no {name}; there are: {', '.join(list(known)[:20])}")
