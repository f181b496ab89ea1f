//! What is wrong with a tree before anything runs: names that nothing defines, and names that are defined twice.

use std::{collections::HashMap, sync::Arc};

use crate::{
    Assignment, Expression, File, Function, FunctionBody, Import, Kind, Member, ParseError, Position, Span,
    Statement, StringPart,
};

/// What the runtime knows.
pub trait Names {
    /// Whether a name is defined without an import.
    fn is_universe(&self, name: &str) -> bool;
    /// Whether there is a package of this path.
    fn is_package(&self, path: &str) -> bool;
    /// Whether the package of this path has such a member.
    fn is_member(&self, path: &str, name: &str) -> bool;
}

/// Finds the first name that is not defined where it is used, or that is defined twice in the same place.
pub fn check(file: &File, names: &dyn Names) -> Result<(), ParseError> {
    let mut checker = Checker { names, scopes: vec![HashMap::new(), HashMap::new()] };
    for import in &file.imports {
        checker.import(import)?;
    }
    file.statements.iter().try_for_each(|statement| checker.statement(statement))
}

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning<'t> {
    Variable,
    Option,
    /// The package of this path.
    Package(&'t str),
}

struct Checker<'t> {
    names: &'t dyn Names,
    /// Of imports, of the file, of the functions around what is looked at.
    scopes: Vec<HashMap<&'t str, Meaning<'t>>>,
}

type Result<T, E = ParseError> = std::result::Result<T, E>;

fn fail<T>(span: Span, message: String) -> Result<T> {
    Err(ParseError { span, message })
}

impl<'t> Checker<'t> {
    fn import(&mut self, import: &'t Import) -> Result<()> {
        let path: &'t str = &import.path;
        if !self.names.is_package(path) {
            return fail(import.span, format!("invalid import path {path}"));
        }
        let last = path.rsplit('/').next().unwrap_or(path);
        let name = import.alias.as_deref().unwrap_or(last);
        if let Some(imports) = self.scopes.first_mut() {
            imports.insert(name, Meaning::Package(path));
        }
        Ok(())
    }

    fn meaning(&self, name: &str) -> Option<Meaning<'t>> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name)).copied()
    }

    fn define(&mut self, assignment: &'t Assignment, meaning: Meaning<'t>) -> Result<()> {
        let name: &'t str = &assignment.name;
        let Some(scope) = self.scopes.last_mut() else { return Ok(()) };
        let message = match (scope.insert(name, meaning), meaning) {
            (None, _) => return Ok(()),
            (Some(Meaning::Option), Meaning::Option) => format!("option \"{name}\" reassigned"),
            (Some(Meaning::Option), _) | (Some(_), Meaning::Option) => {
                format!("variable \"{name}\" conflicts with option of same name")
            }
            (Some(_), _) => format!("variable \"{name}\" reassigned"),
        };
        fail(assignment.span, message)
    }

    fn statement(&mut self, statement: &'t Statement) -> Result<()> {
        match statement {
            Statement::Assign(assignment) => {
                self.expression(&assignment.value)?;
                self.define(assignment, Meaning::Variable)
            }
            Statement::Option { package: None, assignment } => {
                self.expression(&assignment.value)?;
                self.define(assignment, Meaning::Option)
            }
            Statement::Option { package: Some(package), assignment } => {
                self.package_option(package, assignment)?;
                self.expression(&assignment.value)
            }
            Statement::Expression(expression) | Statement::Return(expression) => self.expression(expression),
            Statement::Foreign { .. } => Ok(()),
        }
    }

    fn package_option(&self, package: &str, assignment: &Assignment) -> Result<()> {
        let start = assignment.span.start;
        let bytes = u32::try_from(package.len()).unwrap_or(u32::MAX);
        let end = Position { column: start.column.saturating_add(bytes), ..start };
        let span = Span { start, end };
        self.identifier(package, span)?;
        self.member_of(package, &assignment.name, span)
    }

    fn identifier(&self, name: &str, span: Span) -> Result<()> {
        if self.meaning(name).is_some() || self.names.is_universe(name) {
            return Ok(());
        }
        fail(span, format!("undefined identifier \"{name}\""))
    }

    /// Whether a package, if the name is one here, has the member.
    fn member_of(&self, package: &str, member: &str, span: Span) -> Result<()> {
        match self.meaning(package) {
            Some(Meaning::Package(path)) if !self.names.is_member(path, member) => {
                fail(span, format!("record is missing label {member}"))
            }
            _ => Ok(()),
        }
    }

    fn member(&mut self, member: &'t Member) -> Result<()> {
        self.expression(&member.record)?;
        match &member.record.kind {
            Kind::Identifier(package) => self.member_of(package, &member.name, member.record.span),
            _ => Ok(()),
        }
    }

    fn all(&mut self, expressions: impl IntoIterator<Item = &'t Expression>) -> Result<()> {
        expressions.into_iter().try_for_each(|expression| self.expression(expression))
    }

    fn expression(&mut self, expression: &'t Expression) -> Result<()> {
        match &expression.kind {
            Kind::Identifier(name) => self.identifier(name, expression.span),
            Kind::Member(member) => self.member(member),
            Kind::Function(function) => self.function(function),
            Kind::Interpolated(parts) => self.all(parts.iter().filter_map(|part| match part {
                StringPart::Expression(expression) => Some(expression),
                StringPart::Text(_) => None,
            })),
            Kind::Array(elements) => self.all(elements),
            Kind::Dictionary(pairs) => self.all(pairs.iter().flat_map(|(key, value)| [key, value])),
            Kind::Record { with, properties } => {
                self.all(with.as_deref())?;
                self.all(properties.iter().map(|property| &property.value))
            }
            Kind::Call(call) => self.call(&call.callee, &call.arguments),
            Kind::Pipe { value, call } => {
                self.expression(value)?;
                self.call(&call.callee, &call.arguments)
            }
            Kind::Index { array, index } => self.all([&**array, &**index]),
            Kind::Unary { operand, .. } => self.expression(operand),
            Kind::Binary { left, right, .. } | Kind::Logical { left, right, .. } => {
                self.all([&**left, &**right])
            }
            Kind::Conditional { test, then, otherwise } => self.all([&**test, &**then, &**otherwise]),
            Kind::Parenthesis(inner) => self.expression(inner),
            Kind::Integer(_)
            | Kind::Float(_)
            | Kind::String(_)
            | Kind::Time(_)
            | Kind::Duration(_)
            | Kind::Regex(_) => Ok(()),
        }
    }

    fn call(&mut self, callee: &'t Expression, arguments: &'t [crate::Argument]) -> Result<()> {
        self.expression(callee)?;
        self.all(arguments.iter().map(|argument| &argument.value))
    }

    /// Defaults see what is around the function; parameters are variables of its body.
    fn function(&mut self, function: &'t Arc<Function>) -> Result<()> {
        self.all(function.parameters.iter().filter_map(|parameter| parameter.default.as_ref()))?;
        let parameters = function.parameters.iter().map(|parameter| (&*parameter.name, Meaning::Variable));
        self.scopes.push(parameters.collect());
        let checked = match &function.body {
            FunctionBody::Expression(value) => self.expression(value),
            FunctionBody::Block(block) => block.statements.iter().try_for_each(|inner| self.statement(inner)),
        };
        self.scopes.pop();
        checked
    }
}
