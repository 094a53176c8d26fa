"""The few choices behind the *Logs overview* dashboard to Kibana's saved objects, one a line.

This is the source; the NDJSON beside it is what Kibana imports. After a change:

    python dashboards/kibana/logs_overview.py > dashboards/kibana/logs-overview.ndjson

The form is that of Kibana 8.8's own exports, the oldest we support: later versions migrate it when they import
it, earlier ones refuse it. Charts are Lens panels by value. The latest lines are a saved search by reference, because
Lens tables show aggregations, never lines, and searches by value came only later in 8.x.
"""
# ruff: noqa: INP001 - a script beside what it writes, not a package

import json
import sys
from typing import Any

Tree = dict[str, Any]

DATA_VIEW = "tailrace-logs"
DASHBOARD = "tailrace-logs-overview"
SEARCH = "tailrace-latest-lines"
KIBANA = "8.8.0"
ERRORS = 'log.level : ("error" or "critical" or "fatal" or "alert" or "emergency" or "panic")'
_RECORDS = "___records___"
_EVERYTHING = {"query": "", "language": "kuery"}


def objects() -> list[Tree]:
    """The saved objects in the order in which they refer to each other."""
    return [data_view(), latest_lines(), dashboard()]


def data_view() -> Tree:
    """All log data streams, with ``@timestamp`` as their time."""
    attributes = {
        "allowHidden": False,
        "fieldAttrs": "{}",
        "fieldFormatMap": "{}",
        "fields": "[]",
        "name": "Logs",
        "runtimeFieldMap": "{}",
        "sourceFilters": "[]",
        "timeFieldName": "@timestamp",
        "title": "logs-*-*",
        "typeMeta": "{}",
    }
    return saved("index-pattern", DATA_VIEW, attributes, [], "8.0.0")


def latest_lines() -> Tree:
    """The lines themselves, newest first."""
    source = "kibanaSavedObjectMeta.searchSourceJSON.index"
    attributes = {
        "columns": ["log.level", "service.name", "host.name", "message"],
        "description": "The newest lines of all services.",
        "grid": {},
        "hideChart": True,
        "isTextBasedQuery": False,
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": packed({"query": _EVERYTHING, "filter": [], "indexRefName": source})
        },
        "sort": [["@timestamp", "desc"]],
        "timeRestore": False,
        "title": "Latest lines",
    }
    return saved("search", SEARCH, attributes, [reference(source, "index-pattern", DATA_VIEW)], "8.0.0")


def dashboard() -> Tree:
    """All panels, the controls above them, and every reference once more under its panel's id."""
    panels = [
        metric("lines", "Lines", {"value": count("Lines")}, 0),
        metric("error-share", "Share of errors", share("value", ERRORS), 12),
        metric("services", "Services", {"value": distinct("service.name")}, 24),
        metric("hosts", "Hosts", {"value": distinct("host.name")}, 36),
        over_time("volume-by-level", "Lines by level", "log.level", (0, 6, 32, 14)),
        donut("volume-by-service", "Lines by service", "service.name", (32, 6, 16, 14)),
        over_time("errors-by-service", "Errors by service", "service.name", (0, 20, 32, 12), ERRORS),
        table("lines-by-file", "Lines by file", ("host.name", "log.file.path"), (32, 20, 16, 12)),
    ]
    references = [
        reference(f"{panel['panelIndex']}:{inner['name']}", inner["type"], inner["id"])
        for panel in panels
        for inner in panel["embeddableConfig"]["attributes"]["references"]
    ]
    lines = {
        "version": KIBANA,
        "type": "search",
        "gridData": {"x": 0, "y": 32, "w": 48, "h": 20, "i": "latest-lines"},
        "panelIndex": "latest-lines",
        "embeddableConfig": {"enhancements": {}},
        "panelRefName": "panel_latest-lines",
    }
    references.append(reference("latest-lines:panel_latest-lines", "search", SEARCH))
    controls = {"service": "service.name", "host": "host.name", "level": "log.level"}
    references += [
        reference(f"controlGroup_{name}:optionsListDataView", "index-pattern", DATA_VIEW) for name in controls
    ]
    attributes = {
        "controlGroupInput": control_group(controls),
        "description": "How much is logged, by whom, how bad it is, and the latest lines.",
        "kibanaSavedObjectMeta": {"searchSourceJSON": packed({"query": _EVERYTHING, "filter": []})},
        "optionsJSON": packed(
            {
                "useMargins": True,
                "syncColors": True,
                "syncCursor": True,
                "syncTooltips": False,
                "hidePanelTitles": False,
            }
        ),
        "panelsJSON": packed([*panels, lines]),
        "refreshInterval": {"pause": False, "value": 30_000},
        "timeFrom": "now-1h",
        "timeRestore": True,
        "timeTo": "now",
        "title": "Logs overview",
        "version": 1,
    }
    return saved("dashboard", DASHBOARD, attributes, references, "8.7.0")


def metric(name: str, title: str, columns: Tree, x: int) -> Tree:
    """One number."""
    shown = {"layerId": name, "layerType": "data", "metricAccessor": "value"}
    return panel(name, title, "lnsMetric", columns, shown, (x, 0, 12, 6))


def over_time(name: str, title: str, field: str, place: tuple[int, int, int, int], query: str = "") -> Tree:
    """Stacked bars of lines over time, split by a field."""
    columns = {"by": terms(field, 8), "time": histogram(), "lines": count("Lines")}
    visible = {"x": True, "yLeft": True, "yRight": True}
    shown = {
        "title": "Empty XY chart",
        "legend": {"isVisible": True, "position": "right"},
        "valueLabels": "hide",
        "preferredSeriesType": "bar_stacked",
        "axisTitlesVisibilitySettings": {**visible, "x": False},
        "gridlinesVisibilitySettings": visible,
        "tickLabelsVisibilitySettings": visible,
        "layers": [
            {
                "layerId": name,
                "layerType": "data",
                "accessors": ["lines"],
                "position": "top",
                "seriesType": "bar_stacked",
                "showGridlines": False,
                "splitAccessor": "by",
                "xAccessor": "time",
            }
        ],
    }
    return panel(name, title, "lnsXY", columns, shown, place, query)


def donut(name: str, title: str, field: str, place: tuple[int, int, int, int]) -> Tree:
    """Shares of lines by a field."""
    layer = {
        "layerId": name,
        "layerType": "data",
        "primaryGroups": ["by"],
        "metrics": ["lines"],
        "numberDisplay": "percent",
        "categoryDisplay": "default",
        "legendDisplay": "default",
        "nestedLegend": False,
    }
    columns = {"by": terms(field, 10), "lines": count("Lines")}
    return panel(name, title, "lnsPie", columns, {"shape": "donut", "layers": [layer]}, place)


def table(name: str, title: str, fields: tuple[str, ...], place: tuple[int, int, int, int]) -> Tree:
    """Lines by the most frequent values of some fields."""
    columns = {f"by{number}": terms(field, 10) for number, field in enumerate(fields)} | {"lines": count("Lines")}
    shown = {"layerId": name, "layerType": "data", "columns": [{"columnId": column} for column in columns]}
    return panel(name, title, "lnsDatatable", columns, shown, place)


def panel(
    name: str,
    title: str,
    kind: str,
    columns: Tree,
    shown: Tree,
    place: tuple[int, int, int, int],
    query: str = "",
) -> Tree:
    """A Lens chart by value, of one layer that has the panel's name."""
    x, y, w, h = place
    layer = {"columnOrder": list(columns), "columns": columns, "incompleteColumns": {}, "sampling": 1}
    attributes = {
        "title": "",
        "description": "",
        "visualizationType": kind,
        "type": "lens",
        "references": [reference(f"indexpattern-datasource-layer-{name}", "index-pattern", DATA_VIEW)],
        "state": {
            "visualization": shown,
            "query": {"query": query, "language": "kuery"},
            "filters": [],
            "datasourceStates": {"formBased": {"layers": {name: layer}}, "textBased": {"layers": {}}},
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }
    return {
        "version": KIBANA,
        "type": "lens",
        "gridData": {"x": x, "y": y, "w": w, "h": h, "i": name},
        "panelIndex": name,
        "embeddableConfig": {"attributes": attributes, "enhancements": {}},
        "title": title,
    }


def count(label: str) -> Tree:
    """How many documents."""
    return {**number(label, "count"), "sourceField": _RECORDS, "params": {"emptyAsNull": True}}


def distinct(field: str) -> Tree:
    """How many different values."""
    return {
        **number(f"Unique count of {field}", "unique_count"),
        "scale": "ratio",
        "sourceField": field,
        "params": {"emptyAsNull": True},
    }


def share(column: str, query: str) -> Tree:
    """A formula, the share of documents that match, with the columns that Kibana expands it to."""
    formula = f"count(kql='{query}') / count()"
    label = f"Part of {formula}"
    part = {"sourceField": _RECORDS, "params": {"emptyAsNull": False}, "customLabel": True}
    parts = [f"{column}X0", f"{column}X1"]
    whole = {
        "type": "function",
        "name": "divide",
        "args": parts,
        "location": {"min": 0, "max": len(formula)},
        "text": formula,
    }
    return {
        column: {
            **number("Share of errors", "formula"),
            "customLabel": True,
            "params": {
                "formula": formula,
                "isFormulaBroken": False,
                "format": {"id": "percent", "params": {"decimals": 1}},
            },
            "references": [f"{column}X2"],
        },
        parts[0]: {**number(label, "count"), **part, "filter": {"query": query, "language": "kuery"}},
        parts[1]: {**number(label, "count"), **part},
        f"{column}X2": {
            **number(label, "math"),
            "customLabel": True,
            "params": {"tinymathAst": whole},
            "references": parts,
        },
    }


def number(label: str, operation: str) -> Tree:
    """What all columns of numbers have."""
    return {"label": label, "dataType": "number", "operationType": operation, "isBucketed": False, "scale": "ratio"}


def histogram() -> Tree:
    """Buckets of time, as wide as the screen asks for."""
    return {
        "label": "@timestamp",
        "dataType": "date",
        "operationType": "date_histogram",
        "sourceField": "@timestamp",
        "isBucketed": True,
        "scale": "interval",
        "params": {"interval": "auto", "includeEmptyRows": True, "dropPartials": False},
    }


def terms(field: str, size: int) -> Tree:
    """The most frequent values of a field; lines without one are counted too."""
    return {
        "label": f"Top {size} values of {field}",
        "dataType": "string",
        "operationType": "terms",
        "scale": "ordinal",
        "sourceField": field,
        "isBucketed": True,
        "params": {
            "size": size,
            "orderBy": {"type": "column", "columnId": "lines"},
            "orderDirection": "desc",
            "otherBucket": True,
            "missingBucket": True,
            "parentFormat": {"id": "terms"},
            "include": [],
            "exclude": [],
            "includeIsRegex": False,
            "excludeIsRegex": False,
        },
    }


def control_group(fields: dict[str, str]) -> Tree:
    """Drop-down lists of values above the panels."""
    panels = {
        name: {
            "order": order,
            "width": "medium",
            "grow": True,
            "type": "optionsListControl",
            "explicitInput": {
                "id": name,
                "fieldName": field,
                "title": name.capitalize(),
                "selectedOptions": [],
                "enhancements": {},
            },
        }
        for order, (name, field) in enumerate(fields.items())
    }
    ignored = ("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations")
    return {
        "chainingSystem": "HIERARCHICAL",
        "controlStyle": "oneLine",
        "ignoreParentSettingsJSON": packed(dict.fromkeys(ignored, False)),
        "panelsJSON": packed(panels),
    }


def reference(name: str, kind: str, target: str) -> Tree:
    """How saved objects name each other."""
    return {"id": target, "name": name, "type": kind}


def saved(kind: str, name: str, attributes: Tree, references: list[Tree], migration: str) -> Tree:
    """One saved object; no dates and no version, which are the importing Kibana's own."""
    return {
        "attributes": attributes,
        "coreMigrationVersion": KIBANA,
        "id": name,
        "managed": False,
        "references": references,
        "type": kind,
        "typeMigrationVersion": migration,
    }


def packed(tree: object) -> str:
    """JSON inside JSON, without spaces, as Kibana stores it."""
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False)


def ndjson() -> str:
    """All objects, one a line."""
    return "".join(f"{packed(one)}\n" for one in objects())


if __name__ == "__main__":
    sys.stdout.write(ndjson())
