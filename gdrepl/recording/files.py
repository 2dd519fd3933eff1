"""Files that are whole or not there: atomic writing, bounded reading, one writer at a time.

Every OSError becomes a `SessionFileError` of one line that names the path and says what to do.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from gdrepl.errors import SessionFileError

MOST_BYTES = 512 << 20

# errno -> what is wrong, what to do
_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space, or save to another disk"),
    errno.EDQUOT: ("your disk quota is used up", "free some space, or save to another disk"),
    errno.EFBIG: ("the file would be too large", "check the limits with 'ulimit -f'"),
    errno.EACCES: ("no permission", "choose another folder, or change its permissions"),
    errno.EPERM: ("not permitted", "choose another folder, or change its permissions"),
    errno.EROFS: ("the disk is read-only", "save to another disk"),
    errno.EISDIR: ("it is a directory", "give the name of a file"),
    errno.ENOENT: ("no such file or folder", "check the name"),
    errno.ENOTDIR: ("a part of the path is not a folder", "check the name"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter name"),
    errno.ELOOP: ("its symbolic links go round in a circle", "check the name"),
    errno.EMFILE: ("too many files are open", "check the limits with 'ulimit -n'"),
    errno.EIO: ("the disk reports an error", "save to another disk"),
}


def explain(action: str, path: Path, error: OSError) -> SessionFileError:
    """`error` as one line for people; `action` is a verb such as "write"."""
    reason, hint = _REASONS.get(error.errno or 0, (error.strerror or str(error), ""))
    if error.errno == errno.ENOENT and action != "read":
        reason, hint = "its folder is not there", f"make it first: mkdir -p {shlex.quote(str(path.parent))}"
    return SessionFileError(f"cannot {action} {path}: {reason}", hint=hint)


def write_atomically(path: Path, text: Iterable[str]) -> None:
    """Put `text` at `path` wholly or not at all; an existing file keeps its permission bits, a symbolic link stays one.

    Raises:
        SessionFileError: the file cannot be written. What was there before is untouched, as it is when `text` raises.
    """
    _check_name(path)
    try:
        target = Path(os.path.realpath(path))
        mode = _mode(target)
        temporary = target.with_name(f".gdrepl-{os.getpid()}-{secrets.token_hex(4)}.tmp")
        _write_and_rename(temporary, target, mode, text)
    except OSError as error:
        raise explain("write", path, error) from error


def read_bytes(path: Path, limit: int = MOST_BYTES) -> bytes:
    """The whole file.

    Raises:
        SessionFileError: it cannot be read, is no regular file, or is larger than `limit` bytes.
    """
    _check_name(path)
    try:
        # without O_NONBLOCK, opening a pipe that nobody writes to would hang the prompt
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            _check_regular(path, os.fstat(file.fileno()).st_mode, "read")
            data = file.read(limit + 1)
    except OSError as error:
        raise explain("read", path, error) from error
    if len(data) > limit:
        raise SessionFileError(f"cannot read {path}: it is larger than {limit:,} bytes")
    return data


class Lock:
    """An exclusive lock of `path`, held on the file `<path>.lock`, which is removed on release.

    The kernel lets go of it when the process ends, however it ends.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock_path = path.with_name(path.name + ".lock")
        self._descriptor = -1

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock, without waiting.

        Raises:
            SessionFileError: somebody holds it (this process included), or the lock file cannot be made.
        """
        _check_name(self.path)
        try:
            while not self._try():
                pass  # the holder removed the file between our opening and locking it: lock the new one
        except OSError as error:
            raise explain("lock", self.path, error) from error

    def release(self) -> None:
        """Let go. Does nothing when the lock is not held."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(OSError):  # a file left behind is harmless: only the kernel's lock counts
            self.lock_path.unlink()
        os.close(self._descriptor)
        self._descriptor = -1

    def _try(self) -> bool:
        """Lock the file; False when it is no longer the one that the path names."""
        descriptor = os.open(self.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_same_file(descriptor, self.lock_path):
                os.close(descriptor)
                return False
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise _in_use(self.path, holder) from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True


def is_locked(path: Path) -> bool:
    """Whether a live process holds the lock of `path`; makes no file.

    Raises:
        OSError: the lock file is there and cannot be opened.
    """
    try:
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # shared: two that only ask do not see each other
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` last through a power cut, where the file system can."""
    with contextlib.suppress(OSError):  # some file systems refuse to fsync a folder; the file itself is in place
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_and_rename(temporary: Path, target: Path, mode: int | None, text: Iterable[str]) -> None:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
            for piece in text:
                file.write(piece)
            file.flush()
            if mode is not None:
                os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(target.parent)


def _mode(target: Path) -> int | None:
    """The permission bits of an existing file, else None: then the umask decides."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    _check_regular(target, mode, "write")
    return stat.S_IMODE(mode)


def _check_regular(path: Path, mode: int, action: str) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):  # renaming over /dev/null would replace the device
        raise SessionFileError(f"cannot {action} {path}: it is not a regular file", hint="give the name of a file")


def _check_name(path: Path) -> None:
    if "\0" in str(path) or not path.name:
        raise SessionFileError(f"{str(path)!r} is no name of a file", hint="give the name of a file")


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _in_use(path: Path, holder: str) -> SessionFileError:
    who = f" (pid {holder})" if holder.isdigit() else ""
    return SessionFileError(f"{path} is in use by another gdrepl{who}", hint="close it there first")
