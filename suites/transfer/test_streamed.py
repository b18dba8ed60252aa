"""Between protocol families no third party can copy: the client streams the bytes. They count apart."""

import pytest

pytestmark = pytest.mark.capability("transfer")


@pytest.mark.links(streamed=True, cover="pairwise")
@pytest.mark.cost(files=1, size="64 KiB")
def test_streamed_copy_arrives_intact(link, test_file, copy_between):
    source = test_file(size="64 KiB", at=link.source, shared=True)
    arrived = copy_between(source, link)
    assert arrived.mode == "streamed"
    assert arrived.difference is None, f"differs from the source at byte {arrived.difference}"
    assert arrived.checksum == source.checksum
