"""Files keep the names they were given, and directories list them."""

import pytest

pytestmark = pytest.mark.capability("access")

ODD_NAMES = {
    "space": "with space",
    "percent": "100%25 sure",
    "plus": "a+b",
    "hash": "a#b",
    "unicode": "Lémán-ŕ-湖",
    "dots": "..hidden..",
    "deep": "/".join(f"level-{depth}" for depth in range(12)),
    "long": "n" * 200,
}


@pytest.mark.cells(cover="pairwise")
@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES.keys())
def test_odd_name_is_kept(storage, test_file, name):
    stored = test_file(size="1 KiB", at=storage, name=name)
    assert storage.stat(name).size == stored.size
    assert storage.read(name, offset=0, length=2048) == stored.content.bytes()
    storage.remove(name)
    assert not storage.exists(name)


@pytest.mark.requires("list")
def test_directory_lists_what_was_put(storage, test_file):
    for name in ("one", "two", "three"):
        test_file(size="1 KiB", at=storage, name=name)
    assert storage.list() == ["one", "three", "two"]


@pytest.mark.requires("list")
@pytest.mark.cells(cover="pairwise")
def test_directory_lists_odd_names(storage, test_file):
    names = sorted(name for name in ODD_NAMES.values() if "/" not in name)
    for name in names:
        test_file(size="1 KiB", at=storage, name=name)
    assert storage.list() == names


@pytest.mark.requires("mkdir", "list")
def test_directory_is_made_and_removed(storage):
    storage.mkdir("made/below")
    assert storage.stat("made/below").is_directory
    storage.rmdir("made/below")
    assert storage.list("made") == []


@pytest.mark.requirement("full-directory")
@pytest.mark.requires("mkdir", "list")
@pytest.mark.cells(cover="pairwise")
def test_directory_with_files_is_not_removed(storage, test_file, refused):
    test_file(size="1 KiB", at=storage, name="full/file")
    with refused("exists"):
        storage.rmdir("full")
    assert storage.list("full") == ["file"]


@pytest.mark.requirement("missing-directory")
@pytest.mark.requires("mkdir")
@pytest.mark.cells(cover="pairwise")
def test_missing_directory_is_not_removed(storage, refused):
    storage.mkdir("there")
    with refused("not-found"):
        storage.rmdir("not-there")


@pytest.mark.requirement("question-mark-in-name")
@pytest.mark.requires("list")
@pytest.mark.cells(
    cover="pairwise", protocol="[!r]*"
)  # xroot takes what follows for options, by its protocol
def test_question_mark_in_a_name_is_kept(storage, test_file):
    stored = test_file(size="1 KiB", at=storage, name="who?why")
    assert storage.list() == ["who?why"]
    assert storage.read("who?why", offset=0, length=2048) == stored.content.bytes()


@pytest.mark.requirement("rename-to-odd-name")
@pytest.mark.requires("rename", "list")
@pytest.mark.cells(cover="pairwise")
def test_file_is_renamed_to_an_odd_name(storage, test_file):
    stored = test_file(size="1 KiB", at=storage, name="plain")
    storage.rename("plain", "now with a space")
    assert storage.list() == ["now with a space"]
    assert storage.read("now with a space", offset=0, length=2048) == stored.content.bytes()


@pytest.mark.requires("rename")
def test_renamed_file_has_only_its_new_name(storage, test_file):
    stored = test_file(size="4 KiB", at=storage, name="old")
    storage.rename("old", "new")
    assert storage.read("new", offset=0, length=8192) == stored.content.bytes()
    assert not storage.exists("old")
