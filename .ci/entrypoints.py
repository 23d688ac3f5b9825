"""Every entrypoint in prefect.yaml loads, with its real imports.

`prefect deploy` succeeds on a broken import, so deploying proves nothing (prefect.md).
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint

PREFECT_YAML = Path("prefect.yaml")


def main() -> int:
    sys.path.insert(0, str(Path.cwd()))
    if not PREFECT_YAML.exists():
        print(f"{PREFECT_YAML} does not exist yet: no entrypoint to load.")
        return 0
    entrypoints = listed(PREFECT_YAML)
    if not entrypoints:
        print(f"{PREFECT_YAML} deploys nothing.")
        return 1
    broken = [entrypoint for entrypoint in entrypoints if not loads(entrypoint)]
    return 1 if broken else 0


def listed(path: Path) -> list[str]:
    deployments = yaml.safe_load(path.read_text(encoding="utf-8")).get("deployments") or []
    return [deployment["entrypoint"] for deployment in deployments]


def loads(entrypoint: str) -> bool:
    try:
        flow: Flow[..., Any] = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except Exception:
        print(f"{PREFECT_YAML}: {entrypoint} does not load:\n{traceback.format_exc()}")
        return False
    print(f"{entrypoint} loads: flow {flow.name!r}")
    return True


if __name__ == "__main__":
    sys.exit(main())
