//! Rendering: a walk over the parsed template, bounded in steps and bytes.

use std::collections::BTreeMap;

use super::{
    Library, RenderError, Scope, Value, functions,
    parse::{Expr, Node, Root},
};
use crate::limits::{INCLUDES_DEEP_MAX, RENDERED_BYTES_MAX, TEMPLATE_STEPS_MAX};

pub(super) fn render(
    nodes: &[Node],
    (scope, library): (Scope, &Library),
    root: &Value,
    variables: &BTreeMap<&'static str, Value>,
) -> Result<String, RenderError> {
    let mut machine = Machine {
        root,
        scope,
        library,
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        out: String::new(),
        steps: 0,
        depth: 0,
    };
    machine.run(nodes, root)?;
    Ok(machine.out)
}

struct Machine<'a> {
    root: &'a Value,
    scope: Scope,
    library: &'a Library,
    /// Innermost last; a block drops what it declared.
    variables: Vec<(String, Value)>,
    out: String,
    steps: usize,
    /// Templates that include this one, each from within the other.
    depth: usize,
}

impl Machine<'_> {
    fn run(&mut self, nodes: &[Node], dot: &Value) -> Result<(), RenderError> {
        for node in nodes {
            self.steps += 1;
            if self.steps > TEMPLATE_STEPS_MAX {
                return Err(RenderError("the template takes too many steps".to_owned()));
            }
            self.step(node, dot)?;
            if self.out.len() > RENDERED_BYTES_MAX {
                return Err(RenderError("the rendered text is too long".to_owned()));
            }
        }
        Ok(())
    }

    fn block(&mut self, nodes: &[Node], dot: &Value) -> Result<(), RenderError> {
        let depth = self.variables.len();
        let result = self.run(nodes, dot);
        self.variables.truncate(depth);
        result
    }

    fn step(&mut self, node: &Node, dot: &Value) -> Result<(), RenderError> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print(expr) => {
                let text = self.value(expr, dot)?.to_text();
                self.out.push_str(&text);
            }
            Node::Declare(name, expr) => {
                let value = self.value(expr, dot)?;
                self.variables.push((name.clone(), value));
            }
            Node::Assign(name, expr) => {
                let value = self.value(expr, dot)?;
                if let Some(slot) = self.variables.iter_mut().rev().find(|(known, _)| known == name) {
                    slot.1 = value;
                }
            }
            Node::If { branches, otherwise } => {
                for (condition, body) in branches {
                    if self.value(condition, dot)?.is_true() {
                        return self.block(body, dot);
                    }
                }
                self.block(otherwise, dot)?;
            }
            Node::With { value, body, otherwise } => {
                let value = self.value(value, dot)?;
                if value.is_true() {
                    self.block(body, &value)?;
                } else {
                    self.block(otherwise, dot)?;
                }
            }
            Node::Range { index, item, list, body, otherwise } => {
                let list = self.value(list, dot)?;
                self.range((index.as_deref(), item.as_deref()), &list, (body, otherwise), dot)?;
            }
            Node::Include { name, data } => {
                let data = self.value(data, dot)?;
                self.include(name, &data)?;
            }
        }
        Ok(())
    }

    /// What a template includes counts as its own steps and bytes; variables stay outside.
    fn include(&mut self, name: &str, data: &Value) -> Result<(), RenderError> {
        if self.depth == INCLUDES_DEEP_MAX {
            return Err(RenderError(format!("template {name:?} is included too deeply")));
        }
        let mut inner = Machine {
            root: data,
            scope: self.scope,
            library: self.library,
            variables: Vec::new(),
            out: std::mem::take(&mut self.out),
            steps: self.steps,
            depth: self.depth + 1,
        };
        let result = inner.run(self.library.get(name).unwrap_or_default(), data);
        (self.out, self.steps) = (inner.out, inner.steps);
        result
    }

    fn range(
        &mut self,
        names: (Option<&str>, Option<&str>),
        list: &Value,
        (body, otherwise): (&[Node], &[Node]),
        dot: &Value,
    ) -> Result<(), RenderError> {
        let entries: Vec<(Value, Value)> = match list {
            Value::List(items) => {
                items.iter().enumerate().map(|(at, item)| (Value::Number(at as f64), item.clone())).collect()
            }
            Value::Map(entries) => {
                entries.iter().map(|(key, item)| (Value::Text(key.clone()), item.clone())).collect()
            }
            Value::Missing => Vec::new(),
            Value::Text(text) if text.is_empty() => Vec::new(),
            other => return Err(RenderError(format!("range: {:?} is no list", other.to_text()))),
        };
        if entries.is_empty() {
            return self.block(otherwise, dot);
        }
        for (key, item) in entries {
            let depth = self.variables.len();
            if let Some(name) = names.0 {
                self.variables.push((name.to_owned(), key));
            }
            if let Some(name) = names.1 {
                self.variables.push((name.to_owned(), item.clone()));
            }
            let result = self.run(body, &item);
            self.variables.truncate(depth);
            result?;
        }
        Ok(())
    }

    fn value(&mut self, expr: &Expr, dot: &Value) -> Result<Value, RenderError> {
        self.steps += 1;
        Ok(match expr {
            Expr::Literal(value) => value.clone(),
            Expr::Path(root, fields) => {
                let start = match root {
                    Root::Dot => dot,
                    Root::Dollar => self.root,
                    Root::Variable(name) => self
                        .variables
                        .iter()
                        .rev()
                        .find(|(known, _)| known == name)
                        .map_or(&Value::Missing, |(_, value)| value),
                };
                self.follow(start, fields)
            }
            Expr::Chain(inner, fields) => {
                let inner = self.value(inner, dot)?;
                self.follow(&inner, fields)
            }
            Expr::Method(receiver, name, args) => {
                let receiver = self.value(receiver, dot)?;
                let args = args.iter().map(|arg| self.value(arg, dot)).collect::<Result<Vec<_>, _>>()?;
                functions::method(&receiver, name, &args)?
            }
            Expr::Call(name, args) => {
                let args = args.iter().map(|arg| self.value(arg, dot)).collect::<Result<Vec<_>, _>>()?;
                functions::call(name, &args)?
            }
        })
    }

    /// What is not there is an empty text in a notice, as Grafana's notification templates have it, and says so in a rule.
    fn follow(&self, start: &Value, fields: &[String]) -> Value {
        let found = match fields.split_first() {
            None => start.clone(),
            Some((first, rest)) => rest.iter().fold(start.field(first), |value, name| value.field(name)),
        };
        match found {
            Value::Missing if self.scope == Scope::Notice => Value::Text(String::new()),
            found => found,
        }
    }
}
