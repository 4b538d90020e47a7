//! What was measured, as a table and as JSON.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// One figure of ours, beside theirs where there is something to compare with.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    name: String,
    unit: &'static str,
    ours: Option<f64>,
    theirs: Option<f64>,
    note: String,
}

/// All figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figure {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str) -> Self {
        Self { name: name.into(), unit, ours: None, theirs: None, note: String::new() }
    }
    pub(crate) fn ours(self, value: impl Into<Option<f64>>) -> Self {
        Self { ours: value.into(), ..self }
    }
    pub(crate) fn theirs(self, value: impl Into<Option<f64>>) -> Self {
        Self { theirs: value.into(), ..self }
    }
    /// What the numbers do not say: what theirs is, or why there is none.
    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// Theirs as a multiple of ours; `None` where one is missing, or ours is 0.
    fn ratio(&self) -> Option<f64> {
        let (ours, theirs) = (self.ours?, self.theirs?);
        (ours != 0.0).then(|| rounded(theirs / ours))
    }

    fn json(&self) -> Value {
        let value = |x: Option<f64>| x.map(rounded);
        json!({
            "name": self.name, "unit": self.unit, "ours": value(self.ours), "theirs": value(self.theirs),
            "ratio": self.ratio(), "note": self.note,
        })
    }

    fn row(&self) -> [String; 6] {
        let text = |x: Option<f64>| x.map_or_else(|| "–".to_owned(), |x| rounded(x).to_string());
        let ratio = self.ratio().map_or_else(|| "–".to_owned(), |x| format!("{x:.2}"));
        let (ours, theirs) = (text(self.ours), text(self.theirs));
        [self.name.clone(), ours, theirs, ratio, self.unit.to_owned(), self.note.clone()]
    }
}

/// To a thousandth: more digits than that are noise.
fn rounded(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

impl Figures {
    /// Notes a figure, and says it at once.
    pub(crate) fn add(&mut self, figure: Figure) {
        let [name, ours, theirs, _, unit, _] = figure.row();
        eprintln!("  {name}: {ours} (theirs {theirs}) {unit}");
        self.0.push(figure);
    }

    /// Notes that a figure cannot be had here, and why.
    pub(crate) fn miss(&mut self, name: impl Into<String>, unit: &'static str, why: &str) {
        self.add(Figure::new(name, unit).note(format!("not measured: {why}")));
    }

    pub(crate) fn table(&self) -> String {
        let head = ["figure", "ours", "theirs", "theirs/ours", "unit", "note"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(head).chain(self.0.iter().map(Figure::row)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let [name, ours, theirs, ratio, unit] = [0, 1, 2, 3, 4].map(width);
        let line = |row: &[String; 6]| {
            let cells = [
                format!("{:name$}", row[0]),
                format!("{:>ours$}", row[1]),
                format!("{:>theirs$}", row[2]),
                format!("{:>ratio$}", row[3]),
                format!("{:unit$}", row[4]),
                row[5].clone(),
            ];
            cells.join("  ").trim_end().to_owned() + "\n"
        };
        rows.iter().map(line).collect()
    }

    /// Writes `bench.json` below cargo's target directory; where it is.
    pub(crate) fn write(&self) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root, PathBuf::from);
        let dir = target.join("reports");
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.canonicalize().unwrap().join("bench.json");
        let list: Vec<Value> = self.0.iter().map(Figure::json).collect();
        std::fs::write(&path, serde_json::to_string_pretty(&list).unwrap() + "\n").unwrap();
        path
    }
}

/// The median; 0 of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}
