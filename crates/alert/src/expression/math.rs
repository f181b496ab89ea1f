//! Arithmetic over numbers: `$A * 100 / $B > 80`.
//!
//! Numbers of two nodes are combined where their labels are equal or one's contain the other's; the result has the
//! greater set. Comparisons and logic give 0 or 1. A null makes the result null.

use super::LabelledNumber;
use crate::{
    labels::{Labels, contains},
    limits::YAML_DEPTH_MAX as DEPTH_MAX,
};

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub struct MathExpr {
    source: String,
    root: Term,
}

/// Why an expression does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("math expression {expression:?}: {problem}")]
pub struct MathError {
    /// The expression.
    pub expression: String,
    /// What is wrong.
    pub problem: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Term {
    Null,
    Number(f64),
    Reference(String),
    Negate(Box<Term>),
    Not(Box<Term>),
    Binary(Operator, Box<Term>, Box<Term>),
    Call(Function, Box<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
}

/// Spelling and binding strength, the longer spellings first.
const OPERATORS: &[(&str, Operator, u8)] = &[
    ("||", Operator::Or, 1),
    ("&&", Operator::And, 2),
    ("==", Operator::Equal, 3),
    ("!=", Operator::NotEqual, 3),
    ("<=", Operator::LessEqual, 3),
    (">=", Operator::GreaterEqual, 3),
    ("**", Operator::Power, 6),
    ("<", Operator::Less, 3),
    (">", Operator::Greater, 3),
    ("+", Operator::Add, 4),
    ("-", Operator::Subtract, 4),
    ("*", Operator::Multiply, 5),
    ("/", Operator::Divide, 5),
    ("%", Operator::Modulo, 5),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Abs,
    Log,
    Round,
    Ceil,
    Floor,
    IsNan,
    IsInf,
    IsNull,
    IsNumber,
}

const FUNCTIONS: &[(&str, Function)] = &[
    ("abs", Function::Abs),
    ("log", Function::Log),
    ("round", Function::Round),
    ("ceil", Function::Ceil),
    ("floor", Function::Floor),
    ("is_nan", Function::IsNan),
    ("is_inf", Function::IsInf),
    ("is_null", Function::IsNull),
    ("is_number", Function::IsNumber),
];

impl MathExpr {
    /// Parses an expression.
    pub fn parse(source: &str) -> Result<Self, MathError> {
        let mut parser = Parser { rest: source, depth: 0 };
        let root = parser.binary(1).and_then(|root| match parser.skip_blanks() {
            "" => Ok(root),
            rest => Err(format!("{rest:?} is not expected")),
        });
        root.map(|root| Self { source: source.to_owned(), root })
            .map_err(|problem| MathError { expression: source.to_owned(), problem })
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// refIds it reads, in the order they appear.
    pub fn references(&self) -> Vec<&str> {
        fn walk<'a>(term: &'a Term, out: &mut Vec<&'a str>) {
            match term {
                Term::Null | Term::Number(_) => {}
                Term::Reference(name) => out.push(name),
                Term::Negate(inner) | Term::Not(inner) | Term::Call(_, inner) => walk(inner, out),
                Term::Binary(_, left, right) => {
                    walk(left, out);
                    walk(right, out);
                }
            }
        }
        let mut out = Vec::new();
        walk(&self.root, &mut out);
        out
    }

    /// The first refId it reads.
    pub fn first_reference(&self) -> Option<&str> {
        self.references().first().copied()
    }

    /// Computes it; `input` gives the numbers of a refId.
    pub fn evaluate<'a>(&self, input: &dyn Fn(&str) -> &'a [LabelledNumber]) -> Vec<LabelledNumber> {
        match self.root.evaluate(input) {
            Operand::Constant(value) => vec![LabelledNumber { labels: Default::default(), value }],
            Operand::Numbers(numbers) => numbers,
        }
    }
}

enum Operand {
    Constant(Option<f64>),
    Numbers(Vec<LabelledNumber>),
}

impl Operand {
    fn map(self, function: impl Fn(Option<f64>) -> Option<f64>) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(function(value)),
            Self::Numbers(mut numbers) => {
                for number in &mut numbers {
                    number.value = function(number.value);
                }
                Self::Numbers(numbers)
            }
        }
    }
}

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

impl Term {
    fn evaluate<'a>(&self, input: &dyn Fn(&str) -> &'a [LabelledNumber]) -> Operand {
        match self {
            Self::Null => Operand::Constant(None),
            Self::Number(value) => Operand::Constant(Some(*value)),
            Self::Reference(name) => Operand::Numbers(input(name).to_vec()),
            Self::Negate(inner) => inner.evaluate(input).map(|value| value.map(|value| -value)),
            Self::Not(inner) => inner.evaluate(input).map(|value| value.map(|value| truth(value == 0.0))),
            Self::Call(function, inner) => inner.evaluate(input).map(|value| function.apply(value)),
            Self::Binary(operator, left, right) => {
                join(*operator, left.evaluate(input), right.evaluate(input))
            }
        }
    }
}

fn join(operator: Operator, left: Operand, right: Operand) -> Operand {
    let apply = |a: Option<f64>, b: Option<f64>| Some(operator.apply(a?, b?));
    match (left, right) {
        (Operand::Constant(a), right) => right.map(|b| apply(a, b)),
        (left, Operand::Constant(b)) => left.map(|a| apply(a, b)),
        (Operand::Numbers(left), Operand::Numbers(right)) => {
            let mut out = Vec::new();
            for a in &left {
                for b in &right {
                    let labels = if contains(&a.labels, &b.labels) {
                        &a.labels
                    } else if contains(&b.labels, &a.labels) {
                        &b.labels
                    } else {
                        continue;
                    };
                    out.push(LabelledNumber { labels: labels.clone(), value: apply(a.value, b.value) });
                }
            }
            // As in Grafana, one number on either side go together whatever they are of, and nothing is left of that.
            if out.is_empty()
                && let ([a], [b]) = (left.as_slice(), right.as_slice())
            {
                out.push(LabelledNumber { labels: Labels::new(), value: apply(a.value, b.value) });
            }
            Operand::Numbers(out)
        }
    }
}

impl Operator {
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Or => truth(a != 0.0 || b != 0.0),
            Self::And => truth(a != 0.0 && b != 0.0),
            Self::Equal => truth(a == b),
            Self::NotEqual => truth(a != b),
            Self::Less => truth(a < b),
            Self::LessEqual => truth(a <= b),
            Self::Greater => truth(a > b),
            Self::GreaterEqual => truth(a >= b),
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Modulo => a % b,
            Self::Power => a.powf(b),
        }
    }
}

impl Function {
    fn apply(self, value: Option<f64>) -> Option<f64> {
        match (self, value) {
            (Self::IsNull, value) => Some(truth(value.is_none())),
            (Self::IsNumber, value) => Some(truth(value.is_some_and(f64::is_finite))),
            (_, None) => None,
            (Self::Abs, Some(value)) => Some(value.abs()),
            (Self::Log, Some(value)) => Some(value.ln()),
            (Self::Round, Some(value)) => Some(value.round()),
            (Self::Ceil, Some(value)) => Some(value.ceil()),
            (Self::Floor, Some(value)) => Some(value.floor()),
            (Self::IsNan, Some(value)) => Some(truth(value.is_nan())),
            (Self::IsInf, Some(value)) => Some(truth(value.is_infinite())),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn skip_blanks(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.skip_blanks().strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn binary(&mut self, strength_min: u8) -> Result<Term, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("it is nested too deeply".to_owned());
        }
        let mut left = self.unary()?;
        loop {
            let rest = self.skip_blanks();
            let found = OPERATORS.iter().find(|(text, _, _)| rest.starts_with(text));
            let Some((text, operator, strength)) = found.filter(|(_, _, strength)| *strength >= strength_min)
            else {
                self.depth -= 1;
                return Ok(left);
            };
            self.rest = &rest[text.len()..];
            // ** binds to the right, the others to the left.
            let next = if *operator == Operator::Power { *strength } else { strength + 1 };
            let right = self.binary(next)?;
            left = Term::Binary(*operator, Box::new(left), Box::new(right));
        }
    }

    fn unary(&mut self) -> Result<Term, String> {
        let rest = self.skip_blanks();
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("it is nested too deeply".to_owned());
        }
        let term = if rest.starts_with('!') && !rest.starts_with("!=") {
            self.rest = &rest[1..];
            Term::Not(Box::new(self.unary()?))
        } else if self.eat("-") {
            Term::Negate(Box::new(self.unary()?))
        } else if self.eat("(") {
            let inner = self.binary(1)?;
            self.close()?;
            inner
        } else {
            self.atom()?
        };
        self.depth -= 1;
        Ok(term)
    }

    fn close(&mut self) -> Result<(), String> {
        if self.eat(")") { Ok(()) } else { Err("a parenthesis is not closed".to_owned()) }
    }

    fn take(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn atom(&mut self) -> Result<Term, String> {
        let rest = self.skip_blanks();
        if let Some(after) = rest.strip_prefix("${") {
            let (name, after) = after.split_once('}').ok_or("${ is not closed")?;
            self.rest = after;
            return Ok(Term::Reference(name.to_owned()));
        }
        if let Some(after) = rest.strip_prefix('$') {
            self.rest = after;
            return match self.take(|c| c.is_alphanumeric() || c == '_') {
                "" => Err("$ must be followed by a refId".to_owned()),
                name => Ok(Term::Reference(name.to_owned())),
            };
        }
        if rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return self.number();
        }
        match self.take(|c| c.is_alphanumeric() || c == '_') {
            "" if rest.is_empty() => Err("it ends where a value is expected".to_owned()),
            "" => Err(format!("{rest:?} is not expected")),
            name => self.call(name),
        }
    }

    fn number(&mut self) -> Result<Term, String> {
        let start = self.rest;
        self.take(|c| c.is_ascii_alphanumeric() || c == '.');
        let mut len = start.len() - self.rest.len();
        // The sign of an exponent: 1e-3.
        if start[..len].ends_with(['e', 'E']) && self.rest.starts_with(['-', '+']) {
            self.rest = &self.rest[1..];
            self.take(|c| c.is_ascii_digit());
            len = start.len() - self.rest.len();
        }
        let text = &start[..len];
        text.parse().map(Term::Number).map_err(|_| format!("{text:?} is no number"))
    }

    fn call(&mut self, name: &str) -> Result<Term, String> {
        let known = || FUNCTIONS.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
        if !self.eat("(") {
            return Err(format!("{name:?} is not expected; nodes are written $A"));
        }
        let constant = match name {
            "null" => Some(Term::Null),
            "nan" => Some(Term::Number(f64::NAN)),
            "inf" => Some(Term::Number(f64::INFINITY)),
            "infn" => Some(Term::Number(f64::NEG_INFINITY)),
            _ => None,
        };
        if let Some(value) = constant {
            self.close()?;
            return Ok(value);
        }
        let Some((_, function)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
            return Err(format!(
                "function {name:?} is not known; known are {}, nan, inf, infn, null",
                known()
            ));
        };
        let inner = self.binary(1)?;
        self.close()?;
        Ok(Term::Call(*function, Box::new(inner)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Labels;

    fn number(labels: &[(&str, &str)], value: Option<f64>) -> LabelledNumber {
        let labels: Labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        LabelledNumber { labels, value }
    }

    fn compute(text: &str) -> Option<f64> {
        let a = [number(&[], Some(6.0))];
        let b = [number(&[], None)];
        let result =
            MathExpr::parse(text).unwrap().evaluate(&|name| if name == "A" { &a[..] } else { &b[..] });
        assert_eq!(result.len(), 1, "{text}");
        result[0].value
    }

    #[test]
    fn precedence_functions_and_logic() {
        for (text, expected) in [
            ("1 + 2 * 3", 7.0),
            ("(1 + 2) * 3", 9.0),
            ("2 ** 3 ** 2", 512.0),
            ("10 - 2 - 3", 5.0),
            ("7 % 4", 3.0),
            ("-2 ** 2 + 1e-3 * 1000", 5.0),
            ("$A * 100 / 8 > 70", 1.0),
            ("${A} == 6 && !($A < 2)", 1.0),
            ("$A != 6 || 0", 0.0),
            ("abs(-3) + floor(2.7) + ceil(0.1) + round(1.5)", 8.0),
            ("is_number($A) + is_nan(nan()) + is_inf(infn()) + is_null($B)", 4.0),
            ("$A >= 6", 1.0),
            ("$A <= 5", 0.0),
        ] {
            assert_eq!(compute(text), Some(expected), "{text}");
        }
        assert_eq!(compute("$A + $B"), None);
    }

    #[test]
    fn labels_are_joined_when_one_set_contains_the_other() {
        let a = [
            number(&[("host", "x"), ("cpu", "0")], Some(1.0)),
            number(&[("host", "x"), ("cpu", "1")], Some(2.0)),
            number(&[("host", "y"), ("cpu", "0")], Some(3.0)),
        ];
        let b = [number(&[("host", "x")], Some(10.0))];
        let expr = MathExpr::parse("$A * $B").unwrap();
        let result = expr.evaluate(&|name| if name == "A" { &a[..] } else { &b[..] });
        assert_eq!(
            result,
            [
                number(&[("host", "x"), ("cpu", "0")], Some(10.0)),
                number(&[("host", "x"), ("cpu", "1")], Some(20.0))
            ]
        );
        assert_eq!(expr.references(), ["A", "B"]);
    }

    #[test]
    fn two_numbers_of_different_things_go_together() {
        let (a, b) = (number(&[("host", "x")], Some(6.0)), number(&[("disk", "/")], Some(2.0)));
        let expr = MathExpr::parse("$A / $B").unwrap();
        let evaluate = |a: &[LabelledNumber], b: &[LabelledNumber]| {
            expr.evaluate(&|name| if name == "A" { a } else { b }).to_vec()
        };
        assert_eq!(evaluate(std::slice::from_ref(&a), std::slice::from_ref(&b)), [number(&[], Some(3.0))]);
        let two = [a, number(&[("host", "y")], Some(1.0))];
        assert_eq!(evaluate(&two, &[b]), [], "of several, nobody knows which belong together");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, needle) in [
            ("", "ends"),
            ("1 +", "ends"),
            ("(1", "not closed"),
            ("1 2", "\"2\" is not expected"),
            ("sqrt(4)", "sqrt"),
            ("A > 1", "$A"),
            ("$ > 1", "refId"),
            ("1.2.3", "no number"),
        ] {
            let error = MathExpr::parse(text).expect_err(text).to_string();
            assert!(error.contains(needle), "{text}: {error}");
        }
        assert!(MathExpr::parse(&"(".repeat(10_000)).is_err());
        assert!(MathExpr::parse(&"-".repeat(10_000)).is_err());
    }
}
