//! A dashboard in Grafana's JSON: panels in rows of 24 columns, from left to right, and what they ask.

use serde_json::{Value, json};

use super::SOURCE;

const COLUMNS: u32 = 24;

/// A dashboard that is being put together.
#[derive(Debug)]
pub(super) struct Board {
    uid: &'static str,
    title: &'static str,
    description: &'static str,
    variables: Vec<Value>,
    panels: Vec<Value>,
    /// Where the next panel goes, and how high its row is so far.
    x: u32,
    y: u32,
    row_height: u32,
}

/// A query, and what its lines are called.
#[derive(Debug, Clone)]
pub(super) struct Query {
    text: String,
    alias: &'static str,
}

impl Query {
    /// Lines named by an alias such as `$tag_host $col`.
    pub(super) fn new(text: impl Into<String>, alias: &'static str) -> Self {
        Self { text: text.into(), alias }
    }
}

/// What numbers are, and from where on they are a worry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub(super) id: &'static str,
    /// Orange and red; the other way round where less is worse.
    pub(super) steps: Option<(f64, f64)>,
}

impl Unit {
    /// Without a worry.
    pub(super) const fn of(id: &'static str) -> Self {
        Self { id, steps: None }
    }

    /// Orange from the first number on, red from the second.
    pub(super) const fn bad_from(self, orange: f64, red: f64) -> Self {
        Self { steps: Some((orange, red)), ..self }
    }

    fn defaults(self) -> Value {
        let mut defaults = json!({"unit": self.id});
        if self.id == "percent" {
            defaults["min"] = json!(0);
            defaults["decimals"] = json!(1);
        }
        if let Some((orange, red)) = self.steps {
            let (first, middle, last) = if orange <= red {
                (("green", None), ("orange", orange), ("red", red))
            } else {
                (("red", None::<f64>), ("orange", red), ("green", orange))
            };
            defaults["thresholds"] = json!({"mode": "absolute", "steps": [
                {"color": first.0, "value": first.1},
                {"color": middle.0, "value": middle.1},
                {"color": last.0, "value": last.1},
            ]});
        }
        defaults
    }
}

impl Board {
    pub(super) fn new(uid: &'static str, title: &'static str, description: &'static str) -> Self {
        Self { uid, title, description, variables: Vec::new(), panels: Vec::new(), x: 0, y: 0, row_height: 0 }
    }

    /// A list to choose from: the values of a tag; all of them at first.
    pub(super) fn variable(mut self, name: &str, label: &str, query: &str) -> Self {
        self.variables.push(json!({
            "name": name, "label": label, "type": "query", "datasource": source(),
            "query": query, "definition": query, "refresh": 2, "regex": "", "sort": 5,
            "multi": true, "includeAll": true, "allValue": ".*",
            "current": {"text": "All", "value": ["$__all"]}, "options": [],
        }));
        self
    }

    /// A heading; what follows begins below it.
    pub(super) fn row(mut self, title: &str) -> Self {
        self.next_line();
        let y = self.y;
        self.push(
            json!({"type": "row", "title": title, "collapsed": false, "panels": []}),
            (0, y, COLUMNS, 1),
        );
        self.y += 1;
        self
    }

    /// One number.
    pub(super) fn stat(self, title: &str, unit: Unit, query: &str) -> Self {
        let panel = json!({
            "type": "stat", "title": title,
            "targets": targets(&[Query::new(query, "")], "time_series"),
            "fieldConfig": {"defaults": with(unit.defaults(), "noValue", json!("-")), "overrides": []},
            "options": {
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                "colorMode": "value", "graphMode": "area", "textMode": "value",
            },
        });
        self.place(panel, 4, 4)
    }

    /// Lines over time.
    pub(super) fn lines(self, title: &str, unit: Unit, queries: &[Query]) -> Self {
        self.graph(title, unit, queries, json!({"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8}))
    }

    /// Lines upon each other.
    pub(super) fn stack(self, title: &str, unit: Unit, queries: &[Query]) -> Self {
        let custom = json!({
            "drawStyle": "line", "lineWidth": 1, "fillOpacity": 40,
            "stacking": {"mode": "normal", "group": "A"},
        });
        self.graph(title, unit, queries, custom)
    }

    fn graph(self, title: &str, unit: Unit, queries: &[Query], custom: Value) -> Self {
        let panel = json!({
            "type": "timeseries", "title": title,
            "targets": targets(queries, "time_series"),
            "fieldConfig": {"defaults": with(unit.defaults(), "custom", custom), "overrides": []},
            "options": {
                "legend": {"displayMode": "table", "placement": "bottom", "showLegend": true,
                           "calcs": ["lastNotNull", "mean", "max"]},
                "tooltip": {"mode": "multi", "sort": "desc"},
            },
        });
        self.place(panel, 12, 9)
    }

    /// Rows with a column for each of the queries' columns, joined by one. `columns` are (name, heading, unit).
    pub(super) fn table(
        self,
        title: &str,
        by: &str,
        columns: &[(&str, &str, Unit)],
        queries: &[&str],
    ) -> Self {
        let queries: Vec<_> = queries.iter().map(|text| Query::new(*text, "")).collect();
        let overrides: Vec<_> = columns
            .iter()
            .filter(|(_, _, unit)| !unit.id.is_empty())
            .map(|(_, heading, unit)| {
                let defaults = unit.defaults();
                let properties: Vec<_> = defaults
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(id, value)| json!({"id": id, "value": value}))
                    .collect();
                json!({"matcher": {"id": "byName", "options": heading}, "properties": properties})
            })
            .collect();
        let order: serde_json::Map<_, _> =
            columns.iter().enumerate().map(|(i, (name, ..))| ((*name).to_owned(), json!(i))).collect();
        let headings: serde_json::Map<_, _> =
            columns.iter().map(|(name, heading, _)| ((*name).to_owned(), json!(heading))).collect();
        let mut transformations = Vec::new();
        if queries.len() > 1 {
            transformations.push(json!({"id": "joinByField", "options": {"byField": by, "mode": "outer"}}));
        }
        let times: serde_json::Map<_, _> = std::iter::once("Time".to_owned())
            .chain(["time".to_owned()])
            .chain((1..=queries.len()).flat_map(|i| [format!("Time {i}"), format!("time {i}")]))
            .map(|name| (name, json!(true)))
            .collect();
        transformations.push(json!({"id": "organize", "options": {
            "excludeByName": times, "indexByName": order, "renameByName": headings,
        }}));
        let panel = json!({
            "type": "table", "title": title,
            "targets": targets(&queries, "table"),
            "fieldConfig": {"defaults": {}, "overrides": overrides},
            "options": {"showHeader": true},
            "transformations": transformations,
        });
        self.place(panel, COLUMNS, 10)
    }

    fn place(mut self, panel: Value, width: u32, height: u32) -> Self {
        if self.x + width > COLUMNS {
            self.next_line();
        }
        let (x, y) = (self.x, self.y);
        self.push(panel, (x, y, width, height));
        self.x += width;
        self.row_height = self.row_height.max(height);
        self
    }

    fn next_line(&mut self) {
        self.y += self.row_height;
        (self.x, self.row_height) = (0, 0);
    }

    fn push(&mut self, mut panel: Value, (x, y, w, h): (u32, u32, u32, u32)) {
        panel["id"] = json!(self.panels.len() + 1);
        panel["gridPos"] = json!({"x": x, "y": y, "w": w, "h": h});
        if panel["type"] != "row" {
            panel["datasource"] = source();
        }
        self.panels.push(panel);
    }

    /// Its identity and its text.
    pub(super) fn finish(self) -> (&'static str, String) {
        let board = json!({
            "uid": self.uid, "title": self.title, "description": self.description, "tags": ["skywatch"],
            "schemaVersion": 42, "version": 1, "editable": false, "graphTooltip": 1, "timezone": "",
            "time": {"from": "now-1h", "to": "now"}, "refresh": "30s",
            "templating": {"list": self.variables}, "annotations": {"list": []},
            "links": [{"type": "dashboards", "title": "Skywatch", "tags": ["skywatch"], "asDropdown": true,
                       "keepTime": true, "includeVars": false, "icon": "external link"}],
            "panels": self.panels,
        });
        (self.uid, format!("{board:#}\n"))
    }
}

fn source() -> Value {
    json!({"type": "influxdb", "uid": SOURCE})
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

fn targets(queries: &[Query], format: &str) -> Vec<Value> {
    let letters = "ABCDEFGHIJ".chars();
    let targets = letters.zip(queries).map(|(letter, query)| {
        let mut target = json!({
            "refId": letter.to_string(), "datasource": source(), "rawQuery": true,
            "query": query.text, "resultFormat": format,
        });
        if !query.alias.is_empty() {
            target["alias"] = json!(query.alias);
        }
        target
    });
    targets.collect()
}
