"""The shipped dashboards: in the form Kibana imports, about fields that are mapped, with queries that find something.

No Kibana runs here. What its Lens panels ask is put to the real Elasticsearch as the aggregations that Lens makes of
the same columns.
"""

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_setup_templates import Streams, _document, _mapped

from indexer.provision_elastic import shipped
from tailrace.files import shared
from tailrace.stack import Stack

FOLDER = shared("dashboards") / "kibana"
FILES = sorted(FOLDER.glob("*.ndjson"))
VISUALIZATIONS = {"lnsXY", "lnsPie", "lnsMetric", "lnsDatatable"}
ERRORS = 3


def _objects(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _panels(saved: dict[str, Any]) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = json.loads(saved["attributes"]["panelsJSON"])
    return panels


def _layers(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every Lens layer of a file with the state of its panel."""
    for saved in _objects(path):
        for panel in _panels(saved) if saved["type"] == "dashboard" else []:
            if panel["type"] == "lens":
                state = panel["embeddableConfig"]["attributes"]["state"]
                for layer in state["datasourceStates"]["formBased"]["layers"].values():
                    yield layer, state


def _every_layer() -> list[Any]:
    return [
        pytest.param(layer, state, id="-".join([path.stem, *layer["columnOrder"], str(number)]))
        for path in FILES
        for number, (layer, state) in enumerate(_layers(path))
    ]


def test_the_file_is_what_its_source_makes() -> None:
    """The readable script is the truth; whoever changes one changes both."""
    made = runpy.run_path(str(FOLDER / "logs_overview.py"))["ndjson"]()
    assert (FOLDER / "logs-overview.ndjson").read_text("utf-8") == made


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_line_is_a_saved_object(path: Path) -> None:
    """One object a line, with the keys of an export; nested JSON is text that parses; ids are fixed and readable."""
    saved = _objects(path)
    assert len({(one["type"], one["id"]) for one in saved}) == len(saved)
    for one in saved:
        assert {"type", "id", "attributes", "references", "coreMigrationVersion", "typeMigrationVersion"} <= one.keys()
        assert re.fullmatch(r"tailrace-[a-z-]+", one["id"])
        assert one["coreMigrationVersion"] == "8.8.0"
        for key, value in _leaves(one["attributes"]):
            if key.endswith("JSON") or key in {"fields", "fieldAttrs", "fieldFormatMap"}:
                json.loads(value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_reference_resolves(path: Path) -> None:
    """Each reference names an object that stands before it in the file, and each panel's is on the dashboard too."""
    known: set[tuple[str, str]] = set()
    for one in _objects(path):
        references = {reference["name"]: (reference["type"], reference["id"]) for reference in one["references"]}
        assert len(references) == len(one["references"])
        assert set(references.values()) <= known
        known.add((one["type"], one["id"]))
        if one["type"] == "search":
            assert (
                json.loads(one["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])["indexRefName"] in references
            )
        if one["type"] == "dashboard":
            assert set(references) == set(_needed(one))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_fill_the_grid_without_overlap(path: Path) -> None:
    """48 columns; every panel has an id of its own and room of its own."""
    for one in _objects(path):
        if one["type"] != "dashboard":
            continue
        panels = _panels(one)
        assert len({panel["panelIndex"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            grid = panel["gridData"]
            assert grid["i"] == panel["panelIndex"]
            cells = {
                (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
            }
            assert max(x for x, _ in cells) < 48
            assert not cells & taken
            taken |= cells
        assert len(taken) == 48 * (max(y for _, y in taken) + 1)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_field_is_mapped(path: Path) -> None:
    """A panel, a control, a column or a query of a field that the template does not know would stay empty."""
    mapped = _mapped(shipped()["tailrace@mappings"]["template"]["mappings"]["properties"])
    named: set[str] = set()
    for layer, state in _layers(path):
        queries = [state["query"]["query"]]
        for column in layer["columns"].values():
            named.add(column.get("sourceField", "@timestamp"))
            queries.append(column.get("filter", {}).get("query", ""))
        named |= {field for query in queries for field in re.findall(r"([\w.]+) :", query)}
    for one in _objects(path):
        named |= set(one["attributes"].get("columns", [])) | {one["attributes"].get("timeFieldName", "@timestamp")}
        named |= {control["explicitInput"]["fieldName"] for control in _controls(one).values()}
    assert named - {"___records___"} <= set(mapped)
    assert len(named) > 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_column_a_chart_shows_exists(path: Path) -> None:
    """Accessors of the visualization, orders of terms and parts of formulas name columns of their layer."""
    for layer, state in _layers(path):
        columns = layer["columns"]
        assert layer["columnOrder"] == list(columns)
        shown = {value for key, value in _leaves(state["visualization"]) if "ccessor" in key or key == "columnId"}
        shown |= {value for key, value in _leaves(state["visualization"]) if key in {"primaryGroups", "metrics"}}
        shown |= {part for column in columns.values() for part in column.get("references", [])}
        shown |= {column["params"]["orderBy"]["columnId"] for column in columns.values() if _is_terms(column)}
        assert shown
        assert shown <= set(columns)


@pytest.fixture(scope="module")
def lines(stack: Stack) -> Streams:
    """A few lines of the shipper's form, three of them errors, under the product's templates."""
    import secrets

    streams = Streams(stack, f"t{secrets.token_hex(4)}")
    documents = [
        _document(
            **{"@timestamp": f"2026-11-23T18:{minute:02}:00.000000001Z"},
            log={"level": "error" if minute < ERRORS else "info", "file": {"path": f"/var/log/{minute % 2}.log"}},
            service={"name": f"service{minute % 4}"},
            host={"name": f"host{minute % 2}"},
        )
        for minute in range(12)
    ]
    assert {item["status"] for item in streams.store(*documents)} == {201}
    return streams


@pytest.mark.edge
@pytest.mark.parametrize(("layer", "state"), _every_layer())
def test_every_panel_finds_something(lines: Streams, layer: dict[str, Any], state: dict[str, Any]) -> None:
    """Its columns as Lens asks for them: buckets come back, and its numbers count the lines that were written."""
    columns = layer["columns"]
    buckets = [name for name in layer["columnOrder"] if columns[name]["isBucketed"]]
    numbers = [name for name in layer["columnOrder"] if not columns[name]["isBucketed"]]
    tree = {name: _aggregation(columns[name]) for name in numbers if _aggregation(columns[name])}
    for name in reversed(buckets):
        tree = {name: {**_aggregation(columns[name]), **({"aggs": tree} if tree else {})}}
    query = _query(state["query"]["query"])
    answer = lines.call(
        "POST", f"/{lines.stream}/_search", {"size": 0, "track_total_hits": True, "query": query, "aggs": tree}
    )
    total = answer["hits"]["total"]["value"]
    assert total == (ERRORS if state["query"]["query"] else 12)
    found = answer.get("aggregations", {})
    if buckets:
        assert sum(bucket["doc_count"] for bucket in found[buckets[0]]["buckets"]) == total
        assert all(bucket[buckets[1]]["buckets"] for bucket in found[buckets[0]]["buckets"] if len(buckets) > 1)
    for name in numbers:
        value = _value(columns, name, found, total) if not buckets else total
        assert value == (ERRORS / 12 if columns[name]["operationType"] in {"formula", "math"} else value)
        assert value > 0


@pytest.mark.edge
def test_the_latest_lines_are_found(lines: Streams) -> None:
    """The saved search: newest first, with every column it shows."""
    (search,) = [one for path in FILES for one in _objects(path) if one["type"] == "search"]
    ((field, order),) = search["attributes"]["sort"]
    columns = search["attributes"]["columns"]
    hits = lines.search(size=1, sort=[{field: order}], fields=columns)
    assert hits[0]["_source"]["@timestamp"].startswith("2026-11-23T18:11")
    assert set(hits[0]["fields"]) == set(columns)


def _aggregation(column: dict[str, Any]) -> dict[str, Any]:
    """What Lens asks Elasticsearch for a column; nothing for counts of all, and for what is computed from others."""
    match column["operationType"]:
        case "terms":
            return {
                "terms": {"field": column["sourceField"], "size": column["params"]["size"], "missing": "__missing__"}
            }
        case "date_histogram":
            return {"date_histogram": {"field": column["sourceField"], "fixed_interval": "1m"}}
        case "unique_count":
            return {"cardinality": {"field": column["sourceField"]}}
        case "count" if "filter" in column:
            return {"filter": _query(column["filter"]["query"])}
        case "count" | "formula" | "math":
            return {}
    raise AssertionError(column)


def _value(columns: dict[str, Any], name: str, found: dict[str, Any], total: int) -> float:
    column = columns[name]
    if column["operationType"] == "formula":
        return _value(columns, column["references"][0], found, total)
    if column["operationType"] == "math":
        assert column["params"]["tinymathAst"]["name"] == "divide"
        above, below = (_value(columns, part, found, total) for part in column["params"]["tinymathAst"]["args"])
        return above / below
    if name not in found:
        return total
    return float(found[name].get("value", found[name].get("doc_count")))


def _query(kuery: str) -> dict[str, Any]:
    """Kibana's query language to Lucene's, as far as our panels use it: fields and alternatives."""
    if not kuery:
        return {"match_all": {}}
    return {"query_string": {"query": kuery.replace(" : ", ":").replace(" or ", " OR ")}}


def _needed(dashboard: dict[str, Any]) -> Iterator[str]:
    """The names of all references that a dashboard must have."""
    for panel in _panels(dashboard):
        if panel["type"] == "lens":
            attributes = panel["embeddableConfig"]["attributes"]
            assert attributes["visualizationType"] in VISUALIZATIONS
            layers = attributes["state"]["datasourceStates"]["formBased"]["layers"]
            inner = [reference["name"] for reference in attributes["references"]]
            assert inner == [f"indexpattern-datasource-layer-{layer}" for layer in layers]
            yield from (f"{panel['panelIndex']}:{name}" for name in inner)
        else:
            assert panel["panelRefName"] == f"panel_{panel['panelIndex']}"
            yield f"{panel['panelIndex']}:{panel['panelRefName']}"
    yield from (f"controlGroup_{name}:optionsListDataView" for name in _controls(dashboard))


def _controls(saved: dict[str, Any]) -> dict[str, Any]:
    controls: dict[str, Any] = json.loads(
        saved["attributes"].get("controlGroupInput", {"panelsJSON": "{}"})["panelsJSON"]
    )
    return controls


def _is_terms(column: dict[str, Any]) -> bool:
    return bool(column["operationType"] == "terms")


def _leaves(tree: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """All leaves with the key they, or the list they are in, stand under."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _leaves(value, name)
    elif isinstance(tree, list):
        for value in tree:
            yield from _leaves(value, key)
    else:
        yield key, tree
