# Every command with every flag, by libnbd: run with `nbdsh -u URI -c 'exec(open(THIS).read())'`. The export is 32 MiB.
import errno

SIZE = 32 * 1024 * 1024
h.set_strict_mode(0)


def fails(number, call):
    try:
        call()
    except nbd.Error as error:
        assert error.errnum == number, (error.errnum, number, str(error))
        return
    raise AssertionError("it should have failed with %s" % errno.errorcode[number])


assert h.get_size() == SIZE
assert h.get_structured_replies_negotiated()
assert [h.can_flush(), h.can_fua(), h.can_trim(), h.can_zero(), h.can_fast_zero(), h.can_df()] == [True] * 6
assert not h.can_multi_conn() and not h.can_cache() and not h.is_read_only()
assert h.can_meta_context("base:allocation") and h.can_meta_context("understudy:dirty-bitmap")
assert [h.get_block_size(n) for n in (0, 1, 2)] == [512, 4096, SIZE]

FUA, NO_HOLE, DF, ONE, FAST = nbd.CMD_FLAG_FUA, nbd.CMD_FLAG_NO_HOLE, nbd.CMD_FLAG_DF, nbd.CMD_FLAG_REQ_ONE, nbd.CMD_FLAG_FAST_ZERO
text = bytes(range(256)) * 16

for flags in (0, FUA):
    h.pwrite(text, 4096, flags)
    assert h.pread(4096, 4096) == text
    h.trim(4096, 4096, flags)
    for more in (0, NO_HOLE, FAST, NO_HOLE | FAST):
        h.pwrite(text, 8192)
        h.zero(4096, 8192, flags | more)
        assert h.pread(4096, 8192) == bytes(4096)
h.flush()
h.flush(FUA)
assert h.pread(8192, 0, DF) == bytes(8192)

# Chunks of data and of holes, in structured reads.
h.trim(SIZE, 0)
h.pwrite(text, 65536)
chunks = []
h.pread_structured(131072, 0, lambda part, offset, kind, error: chunks.append((kind, offset, len(part))))
assert sorted(chunks) == [(nbd.READ_DATA, 65536, 4096), (nbd.READ_HOLE, 0, 65536), (nbd.READ_HOLE, 69632, 61440)], chunks
whole = []
h.pread_structured(131072, 0, lambda part, offset, kind, error: whole.append((kind, offset, len(part))), DF)
assert whole == [(nbd.READ_DATA, 0, 131072)], whole

extents = {}
h.block_status(131072, 0, lambda context, offset, entries, error: extents.update({context: list(entries)}))
assert extents["base:allocation"] == [65536, 3, 4096, 0, 61440, 3], extents
assert extents["understudy:dirty-bitmap"] == [65536, 0, 4096, 1, 61440, 0], extents
h.block_status(131072, 0, lambda context, offset, entries, error: extents.update({context: list(entries)}), ONE)
assert extents["base:allocation"] == [65536, 3], extents

# What must be refused, and how; the connection lives on.
fails(errno.EINVAL, lambda: h.pread(512, SIZE))
fails(errno.EINVAL, lambda: h.pread(512, 2**63 - 1024))
fails(errno.EINVAL, lambda: h.pread(0, 0))
fails(errno.EINVAL, lambda: h.pread(100, 0))
fails(errno.EINVAL, lambda: h.pread(512, 7))
fails(errno.ENOSPC, lambda: h.pwrite(bytes(512), SIZE))
fails(errno.EINVAL, lambda: h.pwrite(bytes(100), 0))
fails(errno.EINVAL, lambda: h.pwrite(b"", 0))
fails(errno.EINVAL, lambda: h.pwrite(bytes(512), 1))
fails(errno.EINVAL, lambda: h.trim(512, SIZE))
fails(errno.EINVAL, lambda: h.trim(0, 0))
fails(errno.ENOSPC, lambda: h.zero(512, SIZE))
fails(errno.ENOSPC, lambda: h.zero(2**32 - 512, 0))
fails(errno.EINVAL, lambda: h.cache(512, 0))
fails(errno.EINVAL, lambda: h.block_status(512, SIZE, lambda *a: 0))
fails(errno.EINVAL, lambda: h.pwrite(bytes(512), 0, DF))
fails(errno.EINVAL, lambda: h.pread(512, 0, NO_HOLE))
fails(errno.EINVAL, lambda: h.trim(512, 0, FAST))
fails(errno.EINVAL, lambda: h.flush(ONE))
assert h.pread(4096, 65536) == text

# Many at once, answered by cookie.
cookies = {h.aio_pwrite(nbd.Buffer.from_bytearray(bytearray([n] * 4096)), 1048576 + 4096 * n): n for n in range(64)}
while cookies:
    h.poll(5000)
    for cookie in [cookie for cookie in cookies if h.aio_command_completed(cookie)]:
        del cookies[cookie]
for n in range(64):
    assert h.pread(4096, 1048576 + 4096 * n) == bytes([n] * 4096)
h.shutdown()
print("all commands")
