"""Different clients agree: what one wrote, another reads, and the other way round."""

import pytest

pytestmark = [pytest.mark.capability("access"), pytest.mark.cost(files=2, size="64 KiB")]

ROOT = pytest.mark.cells(cover="pairwise", protocol="root")
HTTP = pytest.mark.cells(cover="pairwise", protocol="davs")
GSIFTP = pytest.mark.cells(cover="pairwise", protocol="gsiftp")


@ROOT
def test_xrdcp_reads_and_writes(storage, test_file, tools, make_local, scratch):
    stored = test_file(size="64 KiB", at=storage)
    local = scratch / "by-xrdcp"
    tools.run(
        ["xrdcp", "--silent", "--force", storage.url(stored.path), local], storage.credential
    ).succeeded()
    assert local.read_bytes() == stored.content.bytes()
    content = make_local(50_000)
    tools.run(["xrdcp", "--silent", content.path, storage.url("xrdcp")], storage.credential).succeeded()
    assert storage.read("xrdcp", offset=0, length=content.size + 1) == content.bytes()


@ROOT
def test_xrdfs_sees_the_file(storage, test_file, tools, cell):
    stored = test_file(size=54_321, at=storage)
    door = f"root://{cell.endpoint.host}:{cell.endpoint.port}"
    path = f"{cell.endpoint.prefix}{stored.path}"
    told = tools.run(["xrdfs", door, "stat", path], storage.credential).succeeded()
    assert b"54321" in told
    checksum = tools.run(["xrdfs", door, "query", "checksum", path], storage.credential).succeeded()
    assert stored.checksum.encode() in checksum


@HTTP
def test_curl_reads_and_writes(storage, test_file, tools, make_local, scratch):
    stored = test_file(size="64 KiB", at=storage)
    local = scratch / "by-curl"
    url = storage.url(stored.path).replace("davs://", "https://")
    tools.curl(["--output", local, url], storage.credential).succeeded()
    assert local.read_bytes() == stored.content.bytes()
    content = make_local(50_000)
    target = storage.url("curl").replace("davs://", "https://")
    tools.curl(["--upload-file", content.path, target], storage.credential).succeeded()
    assert storage.read("curl", offset=0, length=content.size + 1) == content.bytes()


@pytest.mark.requirement("range-behind-the-end")
@pytest.mark.requires("ranged-read")
@HTTP
def test_curl_gets_what_there_is_of_a_range(storage, test_file, tools):
    stored = test_file(size=2000, at=storage)
    url = storage.url(stored.path).replace("davs://", "https://")
    told = tools.curl(["--max-time", "20", "--range", "1500-4999", url], storage.credential)
    assert told.succeeded() == stored.content.bytes(1500, 500)  # RFC 9110, 14.1.2


@pytest.mark.cells(cover="pairwise", protocol="davs", auth="x509*")
def test_davix_reads_and_writes(storage, test_file, tools, make_local, scratch, lake):
    stored = test_file(size="64 KiB", at=storage)
    local = scratch / "by-davix"
    proxy = storage.credential.proxy
    grid = ["--cert", proxy, "--key", proxy, "--capath", lake.matrix.trust.ca_directory]
    tools.run(["davix-get", *grid, storage.url(stored.path), local], storage.credential).succeeded()
    assert local.read_bytes() == stored.content.bytes()
    content = make_local(50_000)
    tools.run(["davix-put", *grid, content.path, storage.url("davix")], storage.credential).succeeded()
    assert storage.read("davix", offset=0, length=content.size + 1) == content.bytes()


@pytest.mark.requirement("gfal-copy")
@pytest.mark.cells(cover="pairwise", protocol="[drg]*")
def test_gfal_copy_reads_and_writes(storage, test_file, tools, make_local, scratch):
    stored = test_file(size="64 KiB", at=storage)
    local = scratch / "by-gfal"
    tools.run(
        ["gfal-copy", "--force", storage.url(stored.path), f"file://{local}"], storage.credential
    ).succeeded()
    assert local.read_bytes() == stored.content.bytes()
    content = make_local(50_000)
    tools.run(["gfal-copy", f"file://{content.path}", storage.url("gfal")], storage.credential).succeeded()
    assert storage.read("gfal", offset=0, length=content.size + 1) == content.bytes()


@GSIFTP
def test_globus_url_copy_reads_and_writes(storage, test_file, tools, make_local, scratch):
    stored = test_file(size="64 KiB", at=storage)
    local = scratch / "by-globus"
    tools.run(
        ["globus-url-copy", storage.url(stored.path), f"file://{local}"], storage.credential
    ).succeeded()
    assert local.read_bytes() == stored.content.bytes()
    content = make_local(50_000)
    tools.run(
        ["globus-url-copy", f"file://{content.path}", storage.url("globus")], storage.credential
    ).succeeded()
    assert storage.read("globus", offset=0, length=content.size + 1) == content.bytes()
