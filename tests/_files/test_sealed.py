"""Files with a fingerprint at their end."""

import pytest

from cftlearn._files import BlockDigests, _digests, blocks_of, check_sealed, open_sealed


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 10])
@pytest.mark.parametrize("block_bytes", [7, 64, 2**20])
def test_every_change_is_noticed(tmp_path, monkeypatch, content, block_bytes):
    monkeypatch.setattr(_digests, "_BLOCK_BYTES", block_bytes)
    path = tmp_path / "file"
    with open_sealed(path, "owner", 1) as file:
        file.write(content[:100])
        file.write(content[100:])
    assert check_sealed(path, "owner", 1) == len(content)
    whole = path.read_bytes()
    assert whole.startswith(content)
    changes = [whole[:-1], whole + b"0", whole[1:], b""]
    for place in range(0, len(whole), max(len(whole) // 20, 1)):
        changed = bytearray(whole)
        changed[place] ^= 1
        changes.append(bytes(changed))
    for changed in changes:
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="it was changed"):
            check_sealed(path, "owner", 1)


@pytest.mark.parametrize("owner", [(), ("owner",), ("owner", 2), ("owner", "1")])
def test_a_file_of_another_owner_is_noticed(tmp_path, owner):
    with open_sealed(tmp_path / "file", "owner", 1) as file:
        file.write(b"content")
    with pytest.raises(ValueError, match="written for something else"):
        check_sealed(tmp_path / "file", *owner)


@pytest.mark.parametrize("n_bytes", [0, 1, 99, 100, 101, 250, 300])
def test_fingerprints_do_not_depend_on_how_bytes_come(tmp_path, monkeypatch, n_bytes):
    monkeypatch.setattr(_digests, "_BLOCK_BYTES", 100)
    data = bytes(number % 251 for number in range(n_bytes))
    path = tmp_path / "file"
    path.write_bytes(b"head" + data + b"tail")
    expected = blocks_of(path, 4, 4 + n_bytes)
    assert len(expected) == -(-n_bytes // 100)
    for size in (1, 30, 100, 1000):
        digests = BlockDigests()
        for start in range(0, n_bytes, size):
            digests.update(data[start : start + size])
        assert digests.digests() == expected
    for cut in range(0, n_bytes + 1, 50):
        digests = BlockDigests(path, 4, 4 + cut)
        digests.update(data[cut:])
        assert digests.digests() == expected
