//! Operands: literals, names, arrays, dictionaries, records, functions, and the arguments of calls.

use std::{collections::HashSet, sync::Arc};

use super::{Parser, Result, Tree};
use crate::{
    Argument, Duration, Expression, Function, FunctionBody, Kind, Parameter, Property,
    error::Slip,
    lex::{Class, Token},
    parse_time,
};

/// What a list of names and values belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Record,
    Call,
}

impl<'a> Parser<'a> {
    pub(super) fn operand(&mut self) -> Result<Tree> {
        let token = self.peek()?;
        match (token.class, token.text) {
            (Class::Sign, "\"") => self.text(),
            (Class::Sign, "/") => self.regex(),
            (Class::Sign, "[") => self.list(),
            (Class::Sign, "{") => self.record(),
            (Class::Sign, "(") if self.is_function() => self.function(),
            (Class::Sign, "(") => self.parenthesis(),
            _ => self.literal(&token),
        }
    }

    /// An operand of a single token.
    fn literal(&mut self, token: &Token<'_>) -> Result<Tree> {
        let kind = match (token.class, token.text) {
            (Class::Name, name) => Kind::Identifier(Arc::from(name)),
            (Class::Integer, _) => Kind::Integer(integer(token)?),
            (Class::Float, _) => Kind::Float(float(token)?),
            (Class::Duration, text) => {
                Kind::Duration(text.parse::<Duration>().map_err(|error| token.slip(error.to_string()))?)
            }
            (Class::Time, text) => {
                Kind::Time(parse_time(text).ok_or_else(|| token.slip(no_such_time(text)))?)
            }
            _ => return Err(self.no_operand(token)?),
        };
        self.advance()?;
        self.grow(kind, token.start, 0)
    }

    fn no_operand(&mut self, token: &Token<'_>) -> Result<Box<Slip>> {
        Ok(match (token.class, token.text) {
            (Class::Sign, "<-") => token.slip(
                "`<-` stands only behind a parameter's `=`, as in (tables=<-) => tables; to compare with a negative number, write `< -`",
            ),
            (Class::Sign, "|>") => token.slip("nothing stands before `|>` that it could pass on"),
            _ => self.unexpected("an expression")?,
        })
    }

    /// Whether the parenthesis that comes next begins a function: `()`, `(a) =>`, `(a,` or `(a=`.
    fn is_function(&self) -> bool {
        let mut ahead = self.ahead();
        let mut next = || ahead.next().ok();
        next();
        let Some(first) = next() else { return false };
        if first.class != Class::Name {
            return first.is_sign(")");
        }
        match next() {
            Some(token) if token.is_sign(")") => next().is_some_and(|token| token.is_sign("=>")),
            Some(token) => token.is_sign(",") || token.is_sign("="),
            None => false,
        }
    }

    /// `(a, b=1, tables=<-) => body`
    fn function(&mut self) -> Result<Tree> {
        let start = self.peek()?.start;
        let mut height = 0;
        let parameters = self.parameters(&mut height)?;
        let body = if self.peek()?.is_sign("{") {
            FunctionBody::Block(self.block(&mut height)?)
        } else {
            FunctionBody::Expression(self.child(&mut height)?)
        };
        self.grow(Kind::Function(Arc::new(Function { parameters, body })), start, height)
    }

    /// Up to the arrow: no name twice, and at most one parameter that takes what comes through a pipe.
    fn parameters(&mut self, height: &mut usize) -> Result<Vec<Parameter>> {
        let open = self.advance()?.start;
        let mut parameters: Vec<Parameter> = Vec::new();
        while !self.peek()?.is_sign(")") {
            let token = self.peek()?;
            let parameter = self.parameter(height)?;
            if parameters.iter().any(|other| other.name == parameter.name) {
                return Err(token.slip(format!("the parameter \"{}\" is named twice", parameter.name)));
            }
            if parameter.is_piped && parameters.iter().any(|other| other.is_piped) {
                let message = "a function has at most one parameter that takes what comes through `|>`";
                return Err(Slip::new(token.start, self.end, message));
            }
            parameters.push(parameter);
            if !self.take_sign(",")? {
                break;
            }
        }
        self.close(")", open)?;
        self.expect_sign("=>", "and the function's value behind its parameters")?;
        Ok(parameters)
    }

    fn parameter(&mut self, height: &mut usize) -> Result<Parameter> {
        let start = self.peek()?.start;
        let name = Arc::from(self.name("a parameter's name")?);
        let (mut default, mut is_piped) = (None, false);
        if self.take_sign("=")? {
            is_piped = self.take_sign("<-")?;
            default = if is_piped { None } else { Some(self.child(height)?) };
        } else if self.peek()?.is_sign(":") {
            return Err(self
                .peek()?
                .slip("what a parameter is if nothing is given stands behind `=`: (n=1) => n"));
        }
        Ok(Parameter { name, default, is_piped, span: self.span(start) })
    }

    /// `[a, b]`, `[a: 1, b: 2]`, `[:]`
    fn list(&mut self) -> Result<Tree> {
        let open = self.advance()?.start;
        let mut height = 0;
        if self.take_sign(":")? {
            self.close("]", open)?;
            return self.grow(Kind::Dictionary(Vec::new()), open, 0);
        }
        if self.take_sign("]")? {
            return self.grow(Kind::Array(Vec::new()), open, 0);
        }
        let first = self.child(&mut height)?;
        let kind = if self.peek()?.is_sign(":") {
            Kind::Dictionary(self.associations(first, open, &mut height)?)
        } else {
            let mut elements = vec![first];
            while self.take_sign(",")? && !self.peek()?.is_sign("]") {
                elements.push(self.child(&mut height)?);
            }
            self.close("]", open)?;
            Kind::Array(elements)
        };
        self.grow(kind, open, height)
    }

    /// Keys and values behind the first key.
    fn associations(
        &mut self,
        first: Expression,
        open: usize,
        height: &mut usize,
    ) -> Result<Vec<(Expression, Expression)>> {
        self.advance()?;
        let mut pairs = vec![(first, self.child(height)?)];
        while self.take_sign(",")? && !self.peek()?.is_sign("]") {
            let key = self.child(height)?;
            self.expect_sign(":", "and a value behind the key")?;
            pairs.push((key, self.child(height)?));
        }
        self.close("]", open)?;
        Ok(pairs)
    }

    /// `{a: 1, "b": 2}`, `{a, b}`, `{r with a: 1}`
    fn record(&mut self) -> Result<Tree> {
        let open = self.advance()?.start;
        let mut height = 0;
        let mut with = None;
        if self.record_extends()? {
            let token = self.advance()?;
            let name = Kind::Identifier(Arc::from(token.text));
            with = Some(Box::new(self.grow(name, token.start, 0)?.expression));
            height = 1;
            self.advance()?;
        }
        let properties = self.properties(Owner::Record, open, &mut height)?;
        self.grow(Kind::Record { with, properties }, open, height)
    }

    /// Whether `name with` comes next.
    pub(super) fn record_extends(&self) -> Result<bool> {
        let mut ahead = self.ahead();
        let mut is_name = |word: Option<&str>| {
            let token = ahead.next().ok();
            token
                .is_some_and(|token| token.class == Class::Name && word.is_none_or(|word| token.text == word))
        };
        Ok(is_name(None) && is_name(Some("with")))
    }

    /// `(a: 1, b: 2)`, `(a, b)`: no name twice.
    pub(super) fn arguments(&mut self, height: &mut usize) -> Result<Vec<Argument>> {
        let open = self.advance()?.start;
        self.properties(Owner::Call, open, height)
    }

    /// Names and values up to the closing sign; either all have values or none.
    fn properties(&mut self, owner: Owner, open: usize, height: &mut usize) -> Result<Vec<Property>> {
        let close = if owner == Owner::Record { "}" } else { ")" };
        let mut properties = Vec::new();
        let mut names = HashSet::new();
        let mut all_short = None;
        while !self.peek()?.is_sign(close) && self.peek()?.class != Class::End {
            let token = self.peek()?;
            let (property, is_short) = self.property(owner, height)?;
            if owner == Owner::Call && !names.insert(Arc::clone(&property.name)) {
                return Err(Slip::new(
                    token.start,
                    self.end,
                    format!("the argument \"{}\" is given twice", property.name),
                ));
            }
            if *all_short.get_or_insert(is_short) != is_short {
                let message =
                    "either all names have values or none: write name: name where both are the same";
                return Err(Slip::new(token.start, self.end, message));
            }
            properties.push(property);
            if !self.take_sign(",")? {
                break;
            }
        }
        self.close(close, open)?;
        Ok(properties)
    }

    /// A name and its value, and whether it stands for both.
    fn property(&mut self, owner: Owner, height: &mut usize) -> Result<(Property, bool)> {
        let start = self.peek()?.start;
        let name = self.property_name(owner)?;
        let is_short = !self.take_sign(":")?;
        let value = if is_short { self.short_value(owner, &name, start)? } else { self.child(height)? };
        *height = (*height).max(1);
        Ok((Property { name, value, span: self.span(start) }, is_short))
    }

    fn property_name(&mut self, owner: Owner) -> Result<Arc<str>> {
        let token = self.peek()?;
        match token.class {
            Class::Name => Ok(Arc::from(self.advance()?.text)),
            Class::Sign if token.text == "\"" => self.quoted_name(owner),
            Class::Sign if matches!(token.text, ")" | "}" | "]" | "," | ":" | "=" | ".") => {
                Err(self.unexpected("a name and a value, such as name: value")?)
            }
            Class::Keyword if !matches!(token.text, "if" | "not" | "exists") => {
                let message = format!("the keyword {0} is no name; in quotes it is: \"{0}\"", token.text);
                Err(token.slip(message))
            }
            _ => Err(token.slip(nameless(owner, &token.found()))),
        }
    }

    /// The value of a name that began at `start` and stands for both.
    fn short_value(&mut self, owner: Owner, name: &Arc<str>, start: usize) -> Result<Expression> {
        if self.lexer.text[start..].starts_with('"') {
            return Err(Slip::new(start, self.end, nameless(owner, &format!("\"{name}\""))));
        }
        let next = self.peek()?;
        if next.is_sign("=") {
            return Err(next.slip(format!("values stand behind `:`, not `=`: {name}: value")));
        }
        if owner == Owner::Call && [".", "(", "["].iter().any(|sign| next.is_sign(sign)) {
            return Err(next.slip(nameless(owner, &format!("{name}{}", next.text))));
        }
        Ok(self.grow(Kind::Identifier(Arc::clone(name)), start, 0)?.expression)
    }

    fn quoted_name(&mut self, owner: Owner) -> Result<Arc<str>> {
        let start = self.peek()?.start;
        match self.text()?.expression.kind {
            Kind::String(name) => Ok(name),
            _ if owner == Owner::Call => Err(Slip::new(start, self.end, nameless(owner, "a text"))),
            _ => Err(Slip::new(start, self.end, "nothing can be put into a property's name with `${}`")),
        }
    }
}

/// What is said to a value that no name stands before.
fn nameless(owner: Owner, found: &str) -> String {
    match owner {
        Owner::Call => format!("arguments are given by name, as in f(name: value); found {found}"),
        Owner::Record => format!("expected a name and a value, such as name: value; found {found}"),
    }
}

fn integer(token: &Token<'_>) -> Result<i64> {
    if token.text.len() > 1 && token.text.starts_with('0') {
        return Err(token.slip(format!("integers have no leading zeros: {}", token.text)));
    }
    token.text.parse().map_err(|_| {
        token.slip("integers go up to 9223372036854775807; write a greater one as a float, with `.0`")
    })
}

fn float(token: &Token<'_>) -> Result<f64> {
    let number = token.text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| token.slip("the number is too large for a float"))
}

fn no_such_time(text: &str) -> &'static str {
    let has_offset = text.ends_with('Z') || text.get(19..).is_some_and(|rest| rest.contains(['+', '-']));
    if text.contains('T') && !has_offset {
        "the time needs an offset: Z, or such as +01:00"
    } else {
        "there is no such time between the years 1677 and 2262, all that 64 bits of nanoseconds hold"
    }
}
