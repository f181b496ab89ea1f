//! WHERE without its times: which series it leaves, and what is left to test on their rows.
//!
//! A comparison of a tag with a string or regex is decided per series, through the index where the condition's
//! shape allows it; everything else is an expression over the row's fields in which tags are constants.

use std::sync::Arc;

use skywatch_influxql::{BinaryExpr, BinaryOp, DataType, Expr as Ast, VarRef};
use skywatch_model::FieldValue;
use skywatch_storage::TagPredicate;

use super::{Schema, types::field_type};
use crate::expr::{Expr, MathFunction, Place};

/// A resolved condition.
#[derive(Debug)]
pub(crate) struct Condition {
    root: Node,
    /// Tags that row expressions mention; tag `i` has slot `first_tag_slot + i`.
    tags: Vec<TagSlot>,
    first_tag_slot: usize,
}

/// A tag in a row expression.
#[derive(Debug, PartialEq, Eq)]
struct TagSlot {
    key: Arc<str>,
    /// What a series without the tag has: the empty text where tags are compared with each other, else nothing.
    empty_if_absent: bool,
}

#[derive(Debug)]
enum Node {
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    /// Decided by the tags alone.
    Tags(TagPredicate),
    /// To be tested on rows.
    Rows(Expr),
}

/// What a condition means for one series.
#[derive(Debug, Clone)]
pub(crate) enum Bound {
    /// Every row.
    All,
    /// No row.
    Nothing,
    /// Those where this is true; its slots are scan fields.
    Rows(Arc<Expr>),
}

/// Name under which a condition sees the measurement.
const MEASUREMENT_KEY: &str = "_name";
/// Tag slots begin here; no query has as many scan fields.
const FIRST_TAG_SLOT: usize = 1 << 32;

impl Condition {
    /// Resolves `condition`, whose references carry their types; `scan_field` gives the slot of a field.
    pub(super) fn resolve(
        condition: &Ast,
        schema: &Schema,
        scan_field: &mut dyn FnMut(&str, DataType) -> Option<usize>,
    ) -> Self {
        let mut resolver = Resolver { schema, scan_field, tags: Vec::new() };
        let root = resolver.node(condition);
        Self { root, tags: resolver.tags, first_tag_slot: FIRST_TAG_SLOT }
    }

    /// What the index can tell: no series outside of it satisfies the condition.
    pub(crate) fn series_predicate(&self) -> TagPredicate {
        self.root.series_predicate()
    }

    /// Whether [`Self::bind`] has to see a series' tags.
    pub(crate) fn needs_tags(&self) -> bool {
        !self.tags.is_empty() || self.root.residual_needs_tags()
    }

    /// What the condition means for a series that satisfies [`Self::series_predicate`].
    pub(crate) fn bind(&self, measurement: &str, tags: &[(Arc<str>, Arc<str>)]) -> Bound {
        let values: Vec<Expr> = self
            .tags
            .iter()
            .map(|tag| match tag_value(&tag.key, measurement, tags) {
                Some(value) => Expr::Const(FieldValue::String(value)),
                None if tag.empty_if_absent => Expr::Const(FieldValue::String(Arc::default())),
                None => Expr::Null,
            })
            .collect();
        match self.root.bind(tags, &values, self.first_tag_slot) {
            Expr::Const(FieldValue::Boolean(true)) => Bound::All,
            Expr::Const(_) | Expr::Null => Bound::Nothing,
            rows => Bound::Rows(Arc::new(rows)),
        }
    }
}

fn tag_value(key: &str, measurement: &str, tags: &[(Arc<str>, Arc<str>)]) -> Option<Arc<str>> {
    if key == MEASUREMENT_KEY {
        return Some(measurement.into());
    }
    tags.iter().find(|(tag, _)| &**tag == key).map(|(_, value)| Arc::clone(value))
}

impl Node {
    fn series_predicate(&self) -> TagPredicate {
        match self {
            Self::Tags(predicate) => predicate.clone(),
            Self::Rows(Expr::Const(FieldValue::Boolean(false))) => TagPredicate::None,
            Self::Rows(_) => TagPredicate::All,
            Self::And(left, right) => match (left.series_predicate(), right.series_predicate()) {
                (TagPredicate::None, _) | (_, TagPredicate::None) => TagPredicate::None,
                (TagPredicate::All, other) | (other, TagPredicate::All) => other,
                (TagPredicate::And(mut all), other) => {
                    all.push(other);
                    TagPredicate::And(all)
                }
                (left, right) => TagPredicate::And(vec![left, right]),
            },
            Self::Or(left, right) => match (left.series_predicate(), right.series_predicate()) {
                (TagPredicate::All, _) | (_, TagPredicate::All) => TagPredicate::All,
                (TagPredicate::None, other) | (other, TagPredicate::None) => other,
                (left, right) => TagPredicate::Or(vec![left, right]),
            },
        }
    }

    /// Whether tags decide anything that the index does not.
    fn residual_needs_tags(&self) -> bool {
        match self {
            // The index has decided it: every series asked about satisfies it.
            Self::Tags(_) | Self::Rows(_) => false,
            Self::And(left, right) => left.residual_needs_tags() || right.residual_needs_tags(),
            Self::Or(left, right) => !(left.is_tags() && right.is_tags()),
        }
    }

    fn is_tags(&self) -> bool {
        match self {
            Self::Tags(_) => true,
            Self::Rows(_) => false,
            Self::And(left, right) | Self::Or(left, right) => left.is_tags() && right.is_tags(),
        }
    }

    /// The expression left for rows. Conjuncts that the index decided count as true when tags are not known.
    fn bind(&self, tags: &[(Arc<str>, Arc<str>)], values: &[Expr], first_tag_slot: usize) -> Expr {
        self.bind_conjunct(true, tags, values, first_tag_slot)
    }

    fn bind_conjunct(
        &self,
        decided: bool,
        tags: &[(Arc<str>, Arc<str>)],
        values: &[Expr],
        first_tag_slot: usize,
    ) -> Expr {
        let joined = |op, left: &Self, right: &Self, decided: bool| {
            let left = left.bind_conjunct(decided, tags, values, first_tag_slot);
            let right = right.bind_conjunct(decided, tags, values, first_tag_slot);
            Expr::Binary(op, Box::new(left), Box::new(right)).simplify(Place::Condition)
        };
        match self {
            _ if decided && self.is_tags() => Expr::TRUE,
            Self::Tags(predicate) => {
                if matches(predicate, tags) {
                    Expr::TRUE
                } else {
                    Expr::FALSE
                }
            }
            Self::Rows(expr) => substitute(expr, values, first_tag_slot).simplify(Place::Condition),
            Self::And(left, right) => joined(BinaryOp::And, left, right, decided),
            Self::Or(left, right) => joined(BinaryOp::Or, left, right, false),
        }
    }
}

/// Whether a series with these tags satisfies the predicate.
pub fn matches(predicate: &TagPredicate, tags: &[(Arc<str>, Arc<str>)]) -> bool {
    let value = |key: &str| tags.iter().find(|(tag, _)| &**tag == key).map_or("", |(_, value)| &**value);
    match predicate {
        TagPredicate::All => true,
        TagPredicate::None => false,
        TagPredicate::Equal { key, value: wanted } => value(key) == &**wanted,
        TagPredicate::Matches { key, regex } => regex.is_match(value(key)),
        TagPredicate::Not(inner) => !matches(inner, tags),
        TagPredicate::And(all) => all.iter().all(|inner| matches(inner, tags)),
        TagPredicate::Or(any) => any.iter().any(|inner| matches(inner, tags)),
    }
}

fn substitute(expr: &Expr, values: &[Expr], first_tag_slot: usize) -> Expr {
    match expr {
        Expr::Slot(slot) if *slot >= first_tag_slot => values[*slot - first_tag_slot].clone(),
        Expr::Binary(op, lhs, rhs) => Expr::Binary(
            *op,
            Box::new(substitute(lhs, values, first_tag_slot)),
            Box::new(substitute(rhs, values, first_tag_slot)),
        ),
        Expr::Math(function, args) => {
            Expr::Math(*function, args.iter().map(|arg| substitute(arg, values, first_tag_slot)).collect())
        }
        other => other.clone(),
    }
}

struct Resolver<'a> {
    schema: &'a Schema,
    scan_field: &'a mut dyn FnMut(&str, DataType) -> Option<usize>,
    tags: Vec<TagSlot>,
}

impl Resolver<'_> {
    fn node(&mut self, expr: &Ast) -> Node {
        match expr {
            Ast::Paren(inner) => self.node(inner),
            Ast::Binary(binary) if binary.op == BinaryOp::And => {
                Node::And(Box::new(self.node(&binary.lhs)), Box::new(self.node(&binary.rhs)))
            }
            Ast::Binary(binary) if binary.op == BinaryOp::Or => {
                Node::Or(Box::new(self.node(&binary.lhs)), Box::new(self.node(&binary.rhs)))
            }
            Ast::Binary(binary) => match self.tag_comparison(binary) {
                Some(predicate) => Node::Tags(predicate),
                None => Node::Rows(self.row(expr)),
            },
            _ => Node::Rows(self.row(expr)),
        }
    }

    /// A comparison of a tag with a string or a regex.
    fn tag_comparison(&self, binary: &BinaryExpr) -> Option<TagPredicate> {
        let ((Ast::VarRef(key), value) | (value, Ast::VarRef(key))) =
            (strip(&binary.lhs), strip(&binary.rhs))
        else {
            return None;
        };
        if key.cast.is_some_and(|cast| cast != DataType::Tag)
            || key.name == MEASUREMENT_KEY
            || self.data_type(key).is_some_and(|data_type| data_type != DataType::Tag)
        {
            return None;
        }
        let key: Arc<str> = key.name.as_str().into();
        Some(match (value, binary.op) {
            (Ast::String(value), BinaryOp::Eq) => TagPredicate::Equal { key, value: value.as_str().into() },
            (Ast::String(value), BinaryOp::NotEq) => {
                TagPredicate::Not(Box::new(TagPredicate::Equal { key, value: value.as_str().into() }))
            }
            (Ast::String(_), _) => TagPredicate::None,
            (Ast::Regex(regex), BinaryOp::EqRegex) => {
                TagPredicate::Matches { key, regex: Arc::clone(regex.regex()) }
            }
            (Ast::Regex(regex), BinaryOp::NotEqRegex) => {
                TagPredicate::Not(Box::new(TagPredicate::Matches { key, regex: Arc::clone(regex.regex()) }))
            }
            _ => return None,
        })
    }

    /// Type of a reference: that of its field, `Tag`, or `None` if the schema does not know it.
    fn data_type(&self, name: &VarRef) -> Option<DataType> {
        let mut expr = Ast::VarRef(name.clone());
        super::expand::annotate(&mut expr, self.schema);
        match expr {
            Ast::VarRef(name) => name.cast,
            _ => None,
        }
    }

    fn row(&mut self, expr: &Ast) -> Expr {
        match expr {
            Ast::Paren(inner) => self.row(inner),
            Ast::Binary(binary) => {
                let (lhs, rhs) = match (strip(&binary.lhs), strip(&binary.rhs)) {
                    (Ast::VarRef(lhs), Ast::VarRef(rhs)) if self.is_tag(lhs) && self.is_tag(rhs) => {
                        (self.tag(lhs, true), self.tag(rhs, true))
                    }
                    (lhs, rhs) => (self.row(lhs), self.row(rhs)),
                };
                Expr::Binary(binary.op, Box::new(lhs), Box::new(rhs)).simplify(Place::Condition)
            }
            Ast::VarRef(name) => self.reference(name),
            Ast::Call(call) => match MathFunction::find(&call.name) {
                Some(function) => Expr::Math(function, call.args.iter().map(|arg| self.row(arg)).collect()),
                None => Expr::Null,
            },
            other => literal(other).unwrap_or(Expr::Null),
        }
    }

    fn reference(&mut self, name: &VarRef) -> Expr {
        match self.data_type(name) {
            Some(data_type) if field_type(data_type).is_some() => {
                (self.scan_field)(&name.name, data_type).map_or(Expr::Null, Expr::Slot)
            }
            // A field that there is not; a tag of that name is something else.
            _ if name.cast.is_some_and(|cast| cast != DataType::Tag) => Expr::Null,
            _ => self.tag(name, false),
        }
    }

    fn is_tag(&self, name: &VarRef) -> bool {
        self.data_type(name) == Some(DataType::Tag)
    }

    fn tag(&mut self, name: &VarRef, empty_if_absent: bool) -> Expr {
        let wanted = TagSlot { key: name.name.as_str().into(), empty_if_absent };
        let index = self.tags.iter().position(|tag| *tag == wanted).unwrap_or_else(|| {
            self.tags.push(wanted);
            self.tags.len() - 1
        });
        Expr::Slot(FIRST_TAG_SLOT + index)
    }
}

fn strip(expr: &Ast) -> &Ast {
    match expr {
        Ast::Paren(inner) => strip(inner),
        other => other,
    }
}

/// A constant of the syntax tree.
pub(super) fn literal(expr: &Ast) -> Option<Expr> {
    Some(match expr {
        Ast::Integer(value) | Ast::Duration(value) | Ast::Time(value) => {
            Expr::Const(FieldValue::Integer(*value))
        }
        Ast::Unsigned(value) => Expr::Const(FieldValue::Unsigned(*value)),
        Ast::Number(value) => Expr::Const(FieldValue::Float(*value)),
        Ast::String(value) => Expr::Const(FieldValue::String(value.as_str().into())),
        Ast::Boolean(value) => Expr::Const(FieldValue::Boolean(*value)),
        Ast::Regex(regex) => Expr::Regex(Arc::clone(regex.regex())),
        _ => return None,
    })
}

/// A condition on tags alone, for statements that read no rows; `None` if it mentions anything else.
pub(crate) fn tags_only(condition: &Ast) -> Option<TagPredicate> {
    let schema = Schema::default();
    let mut resolver = Resolver { schema: &schema, scan_field: &mut |_, _| None, tags: Vec::new() };
    let node = resolver.node(condition);
    if node.is_tags() { Some(node.series_predicate()) } else { None }
}
