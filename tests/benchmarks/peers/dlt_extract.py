"""dlt's rest_api source, extraction alone; prints the number of rows."""

import sys

import dlt
from dlt.sources.rest_api import rest_api_source


def main(url: str, *streams: str) -> None:
    paginator = {"type": "page_number", "base_page": 1, "page_param": "page", "total_path": None}
    endpoint = {"params": {"per_page": 1000}, "data_selector": "data", "paginator": paginator}
    resources = [{"name": name, "endpoint": {"path": name, **endpoint}} for name in streams]
    source = rest_api_source({"client": {"base_url": f"{url}/"}, "resources": resources})
    pipeline = dlt.pipeline("benchmark", destination="filesystem", pipelines_dir="pipelines")
    info = pipeline.extract(source)
    metrics = [found["resource_metrics"] for step in info.metrics.values() for found in step]
    rows = sum(found[name].items_count for found in metrics for name in streams if name in found)
    print(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
