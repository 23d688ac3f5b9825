from __future__ import annotations

from pathlib import Path

import pytest

from tests.reelbatch.manifest.manifest_parts import Desk, FakeWeb, picture


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A folder with one sound picture, `mug.png`."""
    desk = Desk(folder=tmp_path, web=FakeWeb())
    desk.write("mug.png", picture())
    return desk
