//! The canonical text of a tree, which parses back to an equal one.

mod literal;

use std::fmt::{self, Display, Formatter};

use literal::{write_float, write_parts, write_regex, write_text};

use crate::{
    Assignment, BinaryOperator, Block, Call, Expression, File, Function, FunctionBody, Import, Kind,
    LogicalOperator, Parameter, Property, Statement, UnaryOperator, format_time,
    lex::is_name,
    operator::{CONDITIONAL, PIPE, POSTFIX, SIGN, UNARY_LOGICAL},
};

impl Display for File {
    /// A statement a line.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(package) = &self.package {
            writeln!(f, "package {package}")?;
        }
        for import in &self.imports {
            writeln!(f, "{import}")?;
        }
        write_statements(f, &self.statements, "\n")
    }
}

/// Nothing stands between statements. One that begins with a sign would go on with the one before, so an attribute,
/// which says nothing, keeps them apart.
fn write_statements(f: &mut Formatter<'_>, statements: &[Statement], end: &str) -> fmt::Result {
    for (at, statement) in statements.iter().enumerate() {
        if at > 0
            && let Statement::Expression(expression) = statement
            && begins_with_sign(first(expression))
        {
            f.write_str("@_() ")?;
        }
        write!(f, "{statement}{end}")?;
    }
    Ok(())
}

/// The operand that an expression begins with.
fn first(expression: &Expression) -> &Kind {
    let mut first = &expression.kind;
    loop {
        first = match first {
            Kind::Binary { left, .. } | Kind::Logical { left, .. } => &left.kind,
            Kind::Pipe { value, .. } => &value.kind,
            Kind::Call(call) => &call.callee.kind,
            Kind::Member(member) => &member.record.kind,
            Kind::Index { array, .. } => &array.kind,
            other => return other,
        };
    }
}

fn begins_with_sign(first: &Kind) -> bool {
    match first {
        Kind::Unary { operator, .. } => matches!(operator, UnaryOperator::Minus | UnaryOperator::Plus),
        Kind::Array(_) | Kind::Dictionary(_) | Kind::Function(_) | Kind::Parenthesis(_) | Kind::Regex(_) => {
            true
        }
        _ => false,
    }
}

impl Display for Import {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("import ")?;
        if let Some(alias) = &self.alias {
            write!(f, "{alias} ")?;
        }
        write_text(f, &self.path)
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assign(assignment) => assignment.fmt(f),
            Self::Option { package: None, assignment } => write!(f, "option {assignment}"),
            Self::Option { package: Some(package), assignment } => write!(f, "option {package}.{assignment}"),
            Self::Expression(expression) => expression.fmt(f),
            Self::Return(expression) => write!(f, "return {expression}"),
            // What stood behind the word was not kept.
            Self::Foreign { word: word @ "testcase", .. } => write!(f, "{word} _ {{}}"),
            Self::Foreign { word, .. } => write!(f, "{word} _: A where A: B"),
        }
    }
}

impl Display for Assignment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.name, self.value)
    }
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => write_float(f, *value),
            Self::String(text) => write_text(f, text),
            Self::Interpolated(parts) => write_parts(f, parts),
            Self::Time(time) => f.write_str(&format_time(*time)),
            Self::Duration(duration) => duration.fmt(f),
            Self::Regex(pattern) => write_regex(f, pattern),
            Self::Identifier(name) => f.write_str(name),
            Self::Array(elements) => {
                f.write_str("[")?;
                write_list(f, elements)?;
                f.write_str("]")
            }
            Self::Dictionary(pairs) => write_dictionary(f, pairs),
            Self::Record { with, properties } => {
                f.write_str("{")?;
                if let Some(record) = with {
                    write!(f, "{record} with ")?;
                }
                write_list(f, properties)?;
                f.write_str("}")
            }
            Self::Function(function) => function.fmt(f),
            Self::Call(call) => call.fmt(f),
            Self::Pipe { value, call } => {
                write_operand(f, value, PIPE)?;
                write!(f, " |> {call}")
            }
            Self::Member(member) => {
                write_operand(f, &member.record, POSTFIX)?;
                // A point behind an integer would make a float of it.
                if is_name(&member.name) && !matches!(member.record.kind, Kind::Integer(_)) {
                    return write!(f, ".{}", member.name);
                }
                f.write_str("[")?;
                write_text(f, &member.name)?;
                f.write_str("]")
            }
            Self::Index { array, index } => {
                write_operand(f, array, POSTFIX)?;
                write!(f, "[{index}]")
            }
            Self::Unary { operator, operand } => write_unary(f, *operator, operand),
            Self::Binary { operator, left, right } => {
                let precedence = operator.precedence();
                write_operand(f, left, precedence)?;
                write!(f, " {operator} ")?;
                write_last(f, right, precedence + 1)
            }
            Self::Logical { operator, left, right } => {
                let precedence = operator.precedence();
                write_operand(f, left, precedence)?;
                write!(f, " {operator} ")?;
                // A long chain is a balanced tree, and means the same either way.
                write_last(f, right, precedence)
            }
            Self::Conditional { test, then, otherwise } => {
                write!(f, "if {test} then {then} else {otherwise}")
            }
            Self::Parenthesis(inner) => write!(f, "({inner})"),
        }
    }
}

/// How tightly the outermost operator binds.
fn precedence(kind: &Kind) -> u8 {
    match kind {
        // Braces end a function; a value goes on as far as it can.
        Kind::Function(function) if matches!(function.body, FunctionBody::Block(_)) => POSTFIX,
        Kind::Conditional { .. } | Kind::Function(_) => CONDITIONAL,
        Kind::Logical { operator, .. } => operator.precedence(),
        Kind::Binary { operator, .. } => operator.precedence(),
        Kind::Unary { operator: UnaryOperator::Not | UnaryOperator::Exists, .. } => UNARY_LOGICAL,
        Kind::Unary { operator: UnaryOperator::Minus | UnaryOperator::Plus, .. } => SIGN,
        Kind::Pipe { .. } => PIPE,
        Kind::Integer(_)
        | Kind::Float(_)
        | Kind::String(_)
        | Kind::Interpolated(_)
        | Kind::Time(_)
        | Kind::Duration(_)
        | Kind::Regex(_)
        | Kind::Identifier(_)
        | Kind::Array(_)
        | Kind::Dictionary(_)
        | Kind::Record { .. }
        | Kind::Call(_)
        | Kind::Member(_)
        | Kind::Index { .. }
        | Kind::Parenthesis(_) => POSTFIX,
    }
}

/// Looser operands get parentheses: the parser never builds such a tree, but code may.
fn write_operand(f: &mut Formatter<'_>, operand: &Expression, precedence_min: u8) -> fmt::Result {
    if precedence(&operand.kind) < precedence_min { write!(f, "({operand})") } else { operand.fmt(f) }
}

/// The last operand, which a function may be without parentheses, as it goes on to the end.
fn write_last(f: &mut Formatter<'_>, operand: &Expression, precedence_min: u8) -> fmt::Result {
    let is_function = matches!(operand.kind, Kind::Function(_));
    write_operand(f, operand, if is_function { CONDITIONAL } else { precedence_min })
}

fn write_unary(f: &mut Formatter<'_>, operator: UnaryOperator, operand: &Expression) -> fmt::Result {
    f.write_str(operator.symbol())?;
    match operator {
        UnaryOperator::Minus | UnaryOperator::Plus => write_last(f, operand, SIGN),
        UnaryOperator::Not | UnaryOperator::Exists => {
            f.write_str(" ")?;
            write_last(f, operand, UNARY_LOGICAL)
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_operand(f, &self.callee, POSTFIX)?;
        f.write_str("(")?;
        write_list(f, &self.arguments)?;
        f.write_str(")")
    }
}

impl Display for Property {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            write_text(f, &self.name)?;
        }
        write!(f, ": {}", self.value)
    }
}

impl Display for Function {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        write_list(f, &self.parameters)?;
        f.write_str(") => ")?;
        match &self.body {
            FunctionBody::Expression(value) => write_value(f, value),
            FunctionBody::Block(block) => block.fmt(f),
        }
    }
}

/// A function's value; one that begins with a record would be taken for statements.
fn write_value(f: &mut Formatter<'_>, value: &Expression) -> fmt::Result {
    let begins_with_record = matches!(first(value), Kind::Record { .. });
    if begins_with_record { write!(f, "({value})") } else { value.fmt(f) }
}

impl Display for Parameter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.default {
            _ if self.is_piped => f.write_str("=<-"),
            Some(value) => write!(f, "={value}"),
            None => Ok(()),
        }
    }
}

impl Display for Block {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("{ ")?;
        write_statements(f, &self.statements, " ")?;
        f.write_str("}")
    }
}

impl Display for BinaryOperator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

impl Display for LogicalOperator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

impl Display for UnaryOperator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

fn write_list<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

fn write_dictionary(f: &mut Formatter<'_>, pairs: &[(Expression, Expression)]) -> fmt::Result {
    if pairs.is_empty() {
        return f.write_str("[:]");
    }
    for (at, (key, value)) in pairs.iter().enumerate() {
        write!(f, "{}{key}: {value}", if at > 0 { ", " } else { "[" })?;
    }
    f.write_str("]")
}
