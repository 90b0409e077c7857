"""The profile for nodes: what bubblewrap needs, and nothing that reaches beyond a container.

That bubblewrap really works under it, in a container, is tried in ``tests/adapters/test_image.py``.
"""

from __future__ import annotations

import json

from tests.support.oci import SECCOMP

NAMESPACES = {"clone", "clone3", "unshare", "mount", "umount2", "pivot_root", "sethostname"}
REFUSED = {
    *("bpf", "perf_event_open", "userfaultfd", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "acct"),
    *(
        "keyctl",
        "add_key",
        "request_key",
        "setns",
        "open_by_handle_at",
        "quotactl",
        "iopl",
        "ioperm",
        "settimeofday",
    ),
    *("io_uring_setup", "io_uring_enter", "fsopen", "fsmount", "open_tree", "move_mount", "mount_setattr"),
}


def test_a_call_that_is_not_listed_is_refused_and_the_list_is_short_of_what_is_dangerous() -> None:
    profile = json.loads(SECCOMP.read_text(encoding="utf-8"))
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    allowed = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert {rule["action"] for rule in profile["syscalls"]} == {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"}
    assert allowed >= NAMESPACES
    assert not allowed & REFUSED
