//! Expressions.

use super::{Parser, Result};
use crate::{
    ast::{BinaryOp, Call, DataType, Expr, VarRef, WildcardKind},
    display::quote_names,
    error::SyntaxError,
    parse_duration,
    token::{Keyword, Kind},
};

/// Longest chain of `AND`s or `OR`s that becomes a tree leaning left, as InfluxDB's do. A longer one (clients spell `IN`
/// so) becomes a balanced tree, which means the same and reads the same.
const LEANING_CHAIN_MAX: usize = 64;

/// Greatest depth of a tree, since all that walk it recurse.
const DEPTH_MAX: usize = 512;

/// An expression and its depth.
struct Tree {
    expr: Expr,
    depth: usize,
}

/// Operands of one level of precedence and the operators between them, as a tree.
fn chain(first: Tree, rest: Vec<(BinaryOp, Tree)>) -> Result<Tree> {
    match rest.first() {
        Some(&(op, _)) if op.precedence() <= BinaryOp::And.precedence() && rest.len() > LEANING_CHAIN_MAX => {
            let mut terms = vec![first];
            terms.extend(rest.into_iter().map(|(_, term)| term));
            balanced(op, terms)
        }
        _ => rest.into_iter().try_fold(first, |lhs, (op, rhs)| join(op, lhs, rhs)),
    }
}

/// A tree of the least depth over the terms, in order.
fn balanced(op: BinaryOp, mut terms: Vec<Tree>) -> Result<Tree> {
    while terms.len() > 1 {
        let mut pairs = Vec::with_capacity(terms.len().div_ceil(2));
        let mut rest = terms.into_iter();
        while let Some(lhs) = rest.next() {
            pairs.push(match rest.next() {
                Some(rhs) => join(op, lhs, rhs)?,
                None => lhs,
            });
        }
        terms = pairs;
    }
    Ok(terms.remove(0))
}

fn join(op: BinaryOp, lhs: Tree, rhs: Tree) -> Result<Tree> {
    let depth = lhs.depth.max(rhs.depth) + 1;
    if depth > DEPTH_MAX {
        return Err(SyntaxError::Plain(format!("expression is more than {DEPTH_MAX} operations deep")));
    }
    Ok(Tree { expr: Expr::binary(op, lhs.expr, rhs.expr), depth })
}

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Result<Expr> {
        Ok(self.tree()?.expr)
    }

    fn tree(&mut self) -> Result<Tree> {
        self.nested(|parser| parser.level(1, None))
    }

    /// Operands joined by operators of at least this precedence. After a regex operator the first operand is a regex.
    fn level(&mut self, precedence_min: u8, after: Option<BinaryOp>) -> Result<Tree> {
        let mut tree = self.operand(after)?;
        // The tightest chain around the operand first; what it comes to is an operand of the next.
        for precedence in (precedence_min..=BinaryOp::PRECEDENCE_MAX).rev() {
            let mut rest = Vec::new();
            while let Some(op) = self.take_operator(precedence) {
                rest.push((op, self.level(precedence + 1, Some(op))?));
            }
            tree = chain(tree, rest)?;
        }
        Ok(tree)
    }

    fn take_operator(&mut self, precedence: u8) -> Option<BinaryOp> {
        match self.scan().kind {
            Kind::Op(op) if op.precedence() == precedence => Some(op),
            _ => {
                self.unscan();
                None
            }
        }
    }

    fn operand(&mut self, after: Option<BinaryOp>) -> Result<Tree> {
        match after {
            Some(op) if op.is_regex() => match self.regex()? {
                Some(regex) => Ok(Tree { expr: Expr::Regex(regex), depth: 1 }),
                None => {
                    let token = self.scan();
                    Err(self.unexpected(&token, &["regex"]))
                }
            },
            Some(op) if op.precedence() == BinaryOp::PRECEDENCE_MAX => match self.unary()? {
                // `a / -b` is a / (-1 * b); without the parentheses the text would read as (a / -1) * b.
                Tree { expr: product @ Expr::Binary(_), depth } => {
                    Ok(Tree { expr: Expr::Paren(Box::new(product)), depth: depth + 1 })
                }
                operand => Ok(operand),
            },
            _ => self.unary(),
        }
    }

    /// One operand. Only a signed one is a [`Expr::Binary`].
    fn unary(&mut self) -> Result<Tree> {
        let token = self.scan();
        let leaf = match token.kind {
            Kind::LParen => {
                let Tree { expr, depth } = self.tree()?;
                self.expect(Kind::RParen)?;
                return Ok(Tree { expr: Expr::Paren(Box::new(expr)), depth: depth + 1 });
            }
            Kind::Ident => {
                if self.scan_any().kind == Kind::LParen {
                    return self.call(&token.text);
                }
                self.unscan();
                self.unscan();
                Expr::VarRef(self.var_ref()?)
            }
            Kind::Keyword(Keyword::Distinct) => return self.distinct(),
            Kind::String => Expr::String(token.text),
            Kind::Number => match token.text.parse() {
                Ok(value) => Expr::Number(value),
                Err(_) => return Err(self.error_at(&token, "unable to parse number")),
            },
            Kind::Integer => match (token.text.parse(), token.text.parse()) {
                (Ok(value), _) => Expr::Integer(value),
                (Err(_), Ok(value)) => Expr::Unsigned(value),
                (Err(_), Err(_)) => return Err(self.error_at(&token, "unable to parse integer")),
            },
            Kind::True => Expr::Boolean(true),
            Kind::False => Expr::Boolean(false),
            Kind::Duration => match parse_duration(&token.text) {
                Ok(nanoseconds) => Expr::Duration(nanoseconds),
                Err(error) => return Err(SyntaxError::Plain(error.to_string())),
            },
            Kind::Op(BinaryOp::Mul) => self.wildcard()?,
            Kind::Regex => Expr::Regex(self.compile(&token)?),
            Kind::BoundParam => {
                return Err(SyntaxError::Plain(match &token.text[1..] {
                    "" => "empty bound parameter".to_owned(),
                    name => format!("missing parameter: {name}"),
                }));
            }
            Kind::Op(BinaryOp::Add) => return self.signed(1),
            Kind::Op(BinaryOp::Sub) => return self.signed(-1),
            _ => return Err(self.unexpected(&token, &["identifier", "string", "number", "bool"])),
        };
        Ok(Tree { expr: leaf, depth: 1 })
    }

    /// What follows a sign.
    fn signed(&mut self, sign: i64) -> Result<Tree> {
        const AFTER_SIGN: [Kind; 5] =
            [Kind::Number, Kind::Integer, Kind::Duration, Kind::LParen, Kind::Ident];
        let token = self.scan();
        if !AFTER_SIGN.contains(&token.kind) {
            return Err(self.unexpected(&token, &["identifier", "number", "duration", "("]));
        }
        self.unscan();
        let Tree { expr: operand, depth } = self.unary()?;
        let expr = match operand {
            Expr::Number(value) => Expr::Number(if sign < 0 { -value } else { value }),
            Expr::Integer(value) => Expr::Integer(value.wrapping_mul(sign)),
            Expr::Unsigned(value) if sign > 0 => Expr::Unsigned(value),
            // The smallest integer is one whose digits alone are too large.
            Expr::Unsigned(value) if value == i64::MIN.unsigned_abs() => Expr::Integer(i64::MIN),
            Expr::Unsigned(value) => {
                return Err(SyntaxError::Plain(format!("constant -{value} underflows int64")));
            }
            Expr::Duration(value) => Expr::Duration(value.wrapping_mul(sign)),
            operand => Expr::binary(BinaryOp::Mul, Expr::Integer(sign), operand),
        };
        Ok(Tree { expr, depth: depth + 1 })
    }

    fn wildcard(&mut self) -> Result<Expr> {
        if self.scan_any().kind != Kind::DoubleColon {
            self.unscan();
            return Ok(Expr::Wildcard(None));
        }
        let token = self.scan_any();
        match token.kind {
            Kind::Keyword(Keyword::Field) => Ok(Expr::Wildcard(Some(WildcardKind::Field))),
            Kind::Keyword(Keyword::Tag) => Ok(Expr::Wildcard(Some(WildcardKind::Tag))),
            _ => Err(self.unexpected(&token, &["field", "tag"])),
        }
    }

    fn distinct(&mut self) -> Result<Tree> {
        let token = self.scan_any();
        match token.kind {
            Kind::LParen => self.call("distinct"),
            Kind::Whitespace => Ok(Tree { expr: Expr::Distinct(self.ident()?), depth: 1 }),
            _ => Err(self.unexpected(&token, &["(", "identifier"])),
        }
    }

    /// The arguments of a call, whose name and opening parenthesis have been read.
    fn call(&mut self, name: &str) -> Result<Tree> {
        let mut call = Call { name: name.to_lowercase(), args: Vec::new() };
        let mut depth = 0;
        self.nested(|parser| {
            loop {
                let regex = parser.regex()?;
                if regex.is_none() && call.args.is_empty() && parser.take(Kind::RParen) {
                    return Ok(());
                }
                call.args.push(match regex {
                    Some(regex) => Expr::Regex(regex),
                    None => {
                        let arg = parser.tree()?;
                        depth = depth.max(arg.depth);
                        arg.expr
                    }
                });
                if !parser.take(Kind::Comma) {
                    parser.expect(Kind::RParen)?;
                    return Ok(());
                }
            }
        })?;
        Ok(Tree { expr: Expr::Call(call), depth: depth + 1 })
    }

    fn var_ref(&mut self) -> Result<VarRef> {
        let name = self.segments()?.join(".");
        if self.scan_any().kind != Kind::DoubleColon {
            self.unscan();
            return Ok(VarRef { name, cast: None });
        }
        let token = self.scan_any();
        let cast = match token.kind {
            Kind::Ident => match token.text.to_lowercase().as_str() {
                "float" => DataType::Float,
                "integer" => DataType::Integer,
                "unsigned" => DataType::Unsigned,
                "string" => DataType::String,
                "boolean" => DataType::Boolean,
                _ => {
                    let types = ["float", "integer", "unsigned", "string", "boolean", "field", "tag"];
                    return Err(self.unexpected(&token, &types));
                }
            },
            Kind::Keyword(Keyword::Field) => DataType::AnyField,
            Kind::Keyword(Keyword::Tag) => DataType::Tag,
            _ => {
                let types = ["float", "integer", "string", "boolean", "field", "tag"];
                return Err(self.unexpected(&token, &types));
            }
        };
        Ok(VarRef { name, cast: Some(cast) })
    }

    /// One to three names with dots between. Stops behind a dot that a regex or `:MEASUREMENT` follows.
    pub(super) fn segments(&mut self) -> Result<Vec<String>> {
        let mut segments = vec![self.ident()?];
        while self.scan_any().kind == Kind::Dot {
            match self.lexer.peek_raw() {
                Some('/' | ':') => return self.checked(segments),
                Some('.') => segments.push(String::new()),
                _ => segments.push(self.ident()?),
            }
        }
        self.unscan();
        self.checked(segments)
    }

    fn checked(&self, segments: Vec<String>) -> Result<Vec<String>> {
        if segments.len() > 3 {
            let names: Vec<&str> = segments.iter().map(String::as_str).collect();
            // The server tells no better place.
            return Err(SyntaxError::At {
                message: format!("too many segments in {}", quote_names(&names)),
                position: self.lexer.position(0),
            });
        }
        Ok(segments)
    }
}
