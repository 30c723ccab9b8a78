"""A VrrpInstance of a configuration is built once; nothing copies it with another value afterwards."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from kad.model.vrrp import VrrpInstance, VrrpSlice
from kad.vrrp.keywords import build_instance
from tests.config.hosts import judged

TEXT = """vrrp_script s {
  script "/bin/true"
  weight 5
}
vrrp_instance A {
  state MASTER
  priority 255
  interface eth0
  virtual_router_id 1
  use_vmac
  track_script {
    s
  }
  virtual_ipaddress {
    192.0.2.9/24
  }
  virtual_routes {
    198.51.100.0/24 via 192.0.2.1
  }
}
vrrp_instance B {
  virtual_router_id 2
  unicast_src_ip 192.0.2.2
  unicast_peer {
    192.0.2.3
  }
  virtual_ipaddress {
    192.0.2.10/24
  }
}
vrrp_sync_group G {
  group {
    A
    B
  }
  track_interface {
    eth1
  }
}
virtual_server 192.0.2.9 80 {
  protocol TCP
  real_server 192.0.2.20 80 {
  }
}
"""


def test_each_instance_is_built_once_and_never_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    built: Counter[str] = Counter()
    copied: list[type] = []
    replace = msgspec.structs.replace

    def build(**fields: Any) -> VrrpInstance:
        built[fields["name"]] += 1
        return VrrpInstance(**fields)

    def copy(struct: msgspec.Struct, /, **changes: Any) -> msgspec.Struct:
        copied.append(type(struct))
        return replace(struct, **changes)

    monkeypatch.setattr(build_instance, "VrrpInstance", build)
    monkeypatch.setattr(msgspec.structs, "replace", copy)
    analysis = judged(TEXT)
    assert built == {"A": 1, "B": 1}
    assert VrrpInstance not in copied
    assert VrrpSlice not in copied
    first, second = msgspec.msgpack.decode(analysis.slices["vrrp"], type=VrrpSlice).instances
    assert (first.device is not None, len(first.routes), first.served_address) == (True, 1, "192.0.2.9")
    assert [[item.name for item in each.tracks] for each in (first, second)] == [["eth1"], ["eth1"]]
    assert [each.device for each in second.virtual_addresses] == ["eth0"]
