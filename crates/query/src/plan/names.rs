//! Captions of columns: the alias, or a name out of the expression, made unique.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use skywatch_influxql::Expr;

/// Name of an expression without an alias: its functions and fields joined by underscores.
pub(super) fn of_expr(expr: &Expr) -> String {
    match expr {
        Expr::Paren(inner) => of_expr(inner),
        Expr::Call(call) => call.name.clone(),
        Expr::VarRef(reference) => reference.name.clone(),
        Expr::Distinct(_) => "distinct".to_owned(),
        Expr::Binary(_) => {
            let mut names = Vec::new();
            parts(expr, &mut names);
            names.join("_")
        }
        _ => String::new(),
    }
}

fn parts(expr: &Expr, names: &mut Vec<String>) {
    match expr {
        Expr::Binary(binary) => {
            parts(&binary.lhs, names);
            parts(&binary.rhs, names);
        }
        Expr::Paren(inner) => parts(inner, names),
        Expr::Call(_) | Expr::VarRef(_) | Expr::Distinct(_) => names.push(of_expr(expr)),
        _ => {}
    }
}

/// Captions of the time column and the fields. Aliases stay as they are, even if they collide; other names get
/// `_1`, `_2` ... where they would.
pub(super) fn columns(time_column: &str, fields: &[(Expr, Option<String>)]) -> Arc<[Arc<str>]> {
    let mut taken: FxHashMap<String, usize> = FxHashMap::default();
    for alias in fields.iter().filter_map(|(_, alias)| alias.as_ref()) {
        taken.insert(alias.clone(), 1);
    }
    let mut columns: Vec<Arc<str>> = vec![time_column.into()];
    for (expr, alias) in fields {
        columns.push(match alias {
            Some(alias) => alias.as_str().into(),
            None => unique(of_expr(expr), &mut taken).into(),
        });
    }
    columns.into()
}

fn unique(name: String, taken: &mut FxHashMap<String, usize>) -> String {
    let mut resolved = name.clone();
    if let Some(&count) = taken.get(&name) {
        let mut count = count;
        loop {
            resolved = format!("{name}_{count}");
            if !taken.contains_key(&resolved) {
                break;
            }
            count += 1;
        }
        taken.insert(name, count + 1);
    }
    *taken.entry(resolved.clone()).or_insert(0) += 1;
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(fields: &[(&str, Option<&str>)]) -> Vec<String> {
        let fields: Vec<_> =
            fields.iter().map(|(name, alias)| (Expr::var(*name), alias.map(str::to_owned))).collect();
        columns("time", &fields).iter().skip(1).map(ToString::to_string).collect()
    }

    #[test]
    fn repeated_names_are_numbered_and_aliases_are_left_alone() {
        assert_eq!(names(&[("mean", None), ("mean", None), ("mean", None)]), ["mean", "mean_1", "mean_2"]);
        assert_eq!(
            names(&[("a", Some("mean_1")), ("mean", None), ("mean", None)]),
            ["mean_1", "mean", "mean_2"]
        );
        assert_eq!(names(&[("v", Some("n")), ("n", None)]), ["n", "n_1"]);
        assert_eq!(names(&[("v", Some("a")), ("n", Some("a"))]), ["a", "a"]);
    }
}
