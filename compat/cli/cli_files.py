"""The files that recordings expect in their working directory, by what their setups say of them."""

from __future__ import annotations

from pathlib import Path

from cli_recordings import Recording

_BASE = '"data_dir":"/dd","bind_addr":"127.0.0.50"'
_HCL = 'data_dir="/dd"\nbind_addr="127.0.0.50"\n'

TEXTS = {
    "val.txt": "file content\n",
    "imp.json": '[{"key":"imp/a","flags":7,"value":"aGVsbG8="},{"key":"imp/b","flags":0,"value":""}]',
    "svc.json": '{"service":{"name":"api","id":"api-1","tags":["x","y"],"check":{"ttl":"10s"}}}',
    "svc.hcl": 'services = [{ name = "db1" }, { name = "db2" }]\n',
    "svc_other.json": '{"datacenter":"dc9","service":{"name":"other"}}',
    "svc_none.json": '{"datacenter":"dc1"}',
    "svc_bad.json": '{"service":{"name":"x","nosuch":1}}',
    "svc_bad2.json": '{"service":{"name":"x"',
    "svc_noname.json": '{"service":{"port":1}}',
    "svc.txt": '{"service":{"name":"x"}}',
    "garbage.snap": "this is no snapshot",
    "junk.pem": "junk",
    "btok": "bearer",
    "unknown.json": '{"data_dir": "d", "nosuch_key": 1, "ports": {"https": 8501, "foo": 1}}',
    "v/ok.hcl": _HCL,
    "v/ok.json": "{" + _BASE + ',"server":true,"bootstrap":true}',
    "v/warn.hcl": _HCL + "server = true\nbootstrap_expect = 2\nui = true\n",
    "v2/a.json": '{"data_dir":"/dd"}',
    "v2/b.hcl": 'bind_addr = "127.0.0.50"\n',
    "v2/c.txt": "not read",
    "v2/sub/x.json": "{broken",
    "v/conf": _HCL,
    "v/m1.json": "{" + _BASE + ',"datacenter":"one"}',
    "v/m2.json": "{" + _BASE + ',"datacenter":"two words"}',
    "v/ent.hcl": _HCL + 'license_path = "x"\nread_replica = true\naudit { enabled = false }\n',
    "v/seg.hcl": _HCL + 'segment = "alpha"\n',
    "v/dep.hcl": _HCL + 'acl_datacenter = "dc1"\nui = true\nui_dir = "x"\nacl_enforce_version_8 = true\n',
    "v/dep2.hcl": _HCL + 'acl_datacenter = "dc1"\nui = true\nacl_enforce_version_8 = true\n',
    "v/script.hcl": _HCL + "enable_script_checks = true\n",
    "v/svc.hcl": _HCL + 'check { name = "c" interval = "5" args = ["true"] }\n',
    "v/str.json": "{" + _BASE + ',"ports":{"http":"8500"}}',
    "v/boolstr.hcl": _HCL + 'server = "true"\n',
    "v/empty.json": "",
    "v/dup.json": '{"data_dir":"/a",' + _BASE + "}",
    "v/perf.hcl": _HCL + "performance { raft_multiplier = 0 }\n",
}

SIZES = {"big.bin": 524289, "ok.bin": 524288}


def write_files(folder: Path) -> None:
    for name, text in TEXTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for name, size in SIZES.items():
        (folder / name).write_bytes(b"x" * size)


def write_described(folder: Path, recording: Recording) -> None:
    """A setup ``k01.json holds: TEXT`` describes its own file; `` / `` stands for a line break."""
    name, separator, text = recording.setup.partition(" holds: ")
    if separator and "/" not in name and " " not in name:
        (folder / name).write_text(text.replace(" / ", "\n"), "utf-8")
