//! Generated trees survive being written and read again; whatever the text, reading it ends without a panic.

use std::sync::Arc;

use proptest::{collection::vec, option, prelude::*};
use skywatch_flux::{
    Assignment, BinaryOperator, Block, Call, Duration, Expression, File, Function, FunctionBody, Import,
    Kind, LogicalOperator, Member, Names, Parameter, Property, Span, Statement, StringPart, UnaryOperator,
    check, parse,
};

fn name() -> impl Strategy<Value = Arc<str>> {
    let names = ["a", "b", "r", "_value", "with", "extends", "from", "mo", "αβ", "x1"];
    prop::sample::select(names.to_vec()).prop_map(Arc::from)
}

/// What may stand in quotes, or be a property's name.
fn text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof!["[a-z ${}\"\\\\\n]{1,6}", "\\PC{1,4}", Just("and".to_owned())].prop_map(Arc::from)
}

fn node(kind: Kind) -> Expression {
    Expression { kind, span: Span::default() }
}

fn duration() -> impl Strategy<Value = Kind> {
    let length =
        prop_oneof![0..100_i64, Just(i64::MAX), (0..100_i64).prop_map(|hours| hours * 3_600_000_000_000)];
    (length.clone(), length).prop_map(|(months, nanoseconds)| {
        Kind::Duration(Duration { months, nanoseconds, is_negative: false })
    })
}

fn leaf() -> impl Strategy<Value = Kind> {
    let patterns = ["a.*b", "a/b", "(?i)x", "\\d+", "^$", "\\\\a", "\\\\/", "é", "[/]", "\\."];
    prop_oneof![
        4 => name().prop_map(Kind::Identifier),
        1 => (0..=i64::MAX).prop_map(Kind::Integer),
        1 => any::<f64>().prop_filter("literals are finite", |float| float.is_finite()).prop_map(|float| Kind::Float(float.abs())),
        1 => (0..1000_i32).prop_map(|quarters| Kind::Float(f64::from(quarters) / 4.0)),
        1 => text().prop_map(Kind::String),
        1 => any::<i64>().prop_map(Kind::Time),
        1 => duration(),
        1 => prop::sample::select(patterns.to_vec()).prop_map(|pattern| Kind::Regex(Arc::from(pattern))),
    ]
}

/// How tightly a kind of operand binds, as the specification's table has it, turned round.
fn precedence(kind: &Kind) -> u8 {
    match kind {
        Kind::Conditional { .. } | Kind::Function(_) => 0,
        Kind::Logical { operator: LogicalOperator::Or, .. } => 1,
        Kind::Logical { operator: LogicalOperator::And, .. } => 2,
        Kind::Unary { operator: UnaryOperator::Not | UnaryOperator::Exists, .. } => 3,
        Kind::Binary { operator, .. } => binary_precedence(*operator),
        Kind::Pipe { .. } => 8,
        Kind::Unary { .. } => 9,
        _ => 10,
    }
}

fn binary_precedence(operator: BinaryOperator) -> u8 {
    match operator.symbol() {
        "^" => 7,
        "*" | "/" | "%" => 6,
        "+" | "-" => 5,
        _ => 4,
    }
}

/// An operand as the parser makes it: in parentheses if it binds too loosely.
fn operand(kind: Kind, precedence_min: u8) -> Expression {
    if precedence(&kind) >= precedence_min {
        node(kind)
    } else {
        node(Kind::Parenthesis(Box::new(node(kind))))
    }
}

fn boxed(kind: Kind, precedence_min: u8) -> Box<Expression> {
    Box::new(operand(kind, precedence_min))
}

fn binary_operator() -> impl Strategy<Value = BinaryOperator> {
    use BinaryOperator as B;
    prop::sample::select(vec![
        B::Add,
        B::Subtract,
        B::Multiply,
        B::Divide,
        B::Modulo,
        B::Power,
        B::Equal,
        B::NotEqual,
        B::Less,
        B::LessEqual,
        B::Greater,
        B::GreaterEqual,
        B::Matches,
        B::NotMatches,
    ])
}

fn unary((operator, kind): (UnaryOperator, Kind)) -> Kind {
    let precedence_min = if matches!(operator, UnaryOperator::Not | UnaryOperator::Exists) { 3 } else { 9 };
    Kind::Unary { operator, operand: boxed(kind, precedence_min) }
}

fn binary((operator, left, right): (BinaryOperator, Kind, Kind)) -> Kind {
    let precedence = binary_precedence(operator);
    Kind::Binary { operator, left: boxed(left, precedence), right: boxed(right, precedence + 1) }
}

fn logical((operator, left, right): (LogicalOperator, Kind, Kind)) -> Kind {
    let precedence = if operator == LogicalOperator::Or { 1 } else { 2 };
    Kind::Logical { operator, left: boxed(left, precedence), right: boxed(right, precedence + 1) }
}

fn property(name: Arc<str>, kind: Kind) -> Property {
    Property { name, value: node(kind), span: Span::default() }
}

/// Calls give no name twice.
fn call(callee: Kind, arguments: Vec<(Arc<str>, Kind)>) -> Box<Call> {
    let mut properties: Vec<Property> = Vec::new();
    for (name, kind) in arguments {
        if properties.iter().all(|other| other.name != name) {
            properties.push(property(name, kind));
        }
    }
    Box::new(Call { callee: operand(callee, 10), arguments: properties, span: Span::default() })
}

/// Statements begin with a name: what begins with a sign goes on with the statement before.
fn assign((name, kind): (Arc<str>, Kind)) -> Statement {
    Statement::Assign(Assignment { name, value: node(kind), span: Span::default() })
}

fn begins_with_record(kind: &Kind) -> bool {
    node(kind.clone()).to_string().starts_with('{')
}

fn function((names, defaults, statements, value, is_block): FunctionParts) -> Kind {
    let mut parameters: Vec<Parameter> = Vec::new();
    for (name, default) in names.into_iter().zip(defaults) {
        if parameters.iter().all(|other| other.name != name) {
            let is_piped = default.is_none() && parameters.is_empty();
            let default = default.flatten().map(node);
            parameters.push(Parameter { name, default, is_piped, span: Span::default() });
        }
    }
    let body = if is_block {
        let mut statements: Vec<Statement> = statements.into_iter().map(assign).collect();
        statements.push(Statement::Return(node(value)));
        FunctionBody::Block(Block { statements })
    } else if begins_with_record(&value) {
        FunctionBody::Expression(node(Kind::Parenthesis(Box::new(node(value)))))
    } else {
        FunctionBody::Expression(node(value))
    };
    Kind::Function(Arc::new(Function { parameters, body }))
}

type FunctionParts = (Vec<Arc<str>>, Vec<Option<Option<Kind>>>, Vec<(Arc<str>, Kind)>, Kind, bool);

/// No two texts side by side, and something put in.
fn interpolated(parts: Vec<(Option<Arc<str>>, Kind)>) -> Kind {
    let parts = parts.into_iter().flat_map(|(text, kind)| {
        text.map(StringPart::Text).into_iter().chain([StringPart::Expression(node(kind))])
    });
    Kind::Interpolated(parts.collect())
}

fn index((array, index): (Kind, Kind)) -> Kind {
    match index {
        Kind::String(name) => Kind::Member(Box::new(Member { record: operand(array, 10), name })),
        index => Kind::Index { array: boxed(array, 10), index: Box::new(node(index)) },
    }
}

fn list(kinds: Vec<Kind>) -> Vec<Expression> {
    kinds.into_iter().map(node).collect()
}

fn kind() -> impl Strategy<Value = Kind> {
    leaf().prop_recursive(4, 40, 4, |inner| {
        let named = || vec((prop_oneof![name(), text()], inner.clone()), 0..3);
        let unary_operators =
            vec![UnaryOperator::Minus, UnaryOperator::Plus, UnaryOperator::Not, UnaryOperator::Exists];
        let logical_operators = vec![LogicalOperator::And, LogicalOperator::Or];
        prop_oneof![
            (prop::sample::select(unary_operators), inner.clone()).prop_map(unary),
            (binary_operator(), inner.clone(), inner.clone()).prop_map(binary),
            (prop::sample::select(logical_operators), inner.clone(), inner.clone()).prop_map(logical),
            (inner.clone(), named()).prop_map(|(callee, arguments)| Kind::Call(call(callee, arguments))),
            (inner.clone(), inner.clone(), named()).prop_map(|(value, callee, arguments)| Kind::Pipe {
                value: boxed(value, 8),
                call: call(callee, arguments)
            }),
            (inner.clone(), inner.clone()).prop_map(index),
            (inner.clone(), text()).prop_map(|(record, name)| Kind::Member(Box::new(Member {
                record: operand(record, 10),
                name
            }))),
            vec(inner.clone(), 0..3).prop_map(|kinds| Kind::Array(list(kinds))),
            vec((inner.clone(), inner.clone()), 0..3).prop_map(|pairs| Kind::Dictionary(
                pairs.into_iter().map(|(key, value)| (node(key), node(value))).collect()
            )),
            (option::of(name()), named()).prop_map(|(with, properties)| Kind::Record {
                with: with.map(|name| Box::new(node(Kind::Identifier(name)))),
                properties: properties.into_iter().map(|(name, kind)| property(name, kind)).collect(),
            }),
            vec((option::of(text()), inner.clone()), 1..3).prop_map(interpolated),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(test, then, otherwise)| {
                Kind::Conditional {
                    test: Box::new(node(test)),
                    then: Box::new(node(then)),
                    otherwise: Box::new(node(otherwise)),
                }
            }),
            (
                vec(name(), 0..3),
                vec(option::of(option::of(inner.clone())), 3),
                vec((name(), inner.clone()), 0..2),
                inner.clone(),
                any::<bool>()
            )
                .prop_map(function),
            inner.prop_map(|kind| Kind::Parenthesis(Box::new(node(kind)))),
        ]
    })
}

fn file() -> impl Strategy<Value = File> {
    let import =
        (option::of(name()), text()).prop_map(|(alias, path)| Import { alias, path, span: Span::default() });
    let statement = prop_oneof![
        4 => (name(), kind()).prop_map(assign),
        1 => (option::of(name()), name(), kind()).prop_map(|(package, name, kind)| Statement::Option {
            package,
            assignment: Assignment { name, value: node(kind), span: Span::default() }
        }),
        1 => (name(), kind()).prop_map(|(name, kind)| {
            Statement::Expression(node(Kind::Call(call(Kind::Identifier(name), vec![(Arc::from("a"), kind)]))))
        }),
    ];
    (option::of(name()), vec(import, 0..2), vec(statement, 0..3))
        .prop_map(|(package, imports, statements)| File { package, imports, statements })
}

struct Nothing;

impl Names for Nothing {
    fn is_universe(&self, _: &str) -> bool {
        false
    }

    fn is_package(&self, _: &str) -> bool {
        true
    }

    fn is_member(&self, _: &str, _: &str) -> bool {
        false
    }
}

/// Reads, checks and writes; a tree that was read is written so that it is read again.
fn read(text: &str) {
    match parse(text) {
        Ok(file) => {
            let _checked = check(&file, &Nothing);
            let written = file.to_string();
            assert_eq!(parse(&written).as_ref(), Ok(&file), "{written}");
        }
        Err(error) => {
            assert!(error.span.start <= error.span.end, "{error}");
            assert!(error.span.start.line >= 1 && error.span.start.column >= 1, "{error}");
            let lines: Vec<&str> = text.split('\n').collect();
            let line = lines.get(error.span.start.line as usize - 1).expect("a line of the text");
            assert!(error.span.start.column as usize <= line.len() + 1, "{error}");
        }
    }
}

/// Bits of Flux, from which texts are put together that are nearly right.
const PIECES: [&str; 64] = [
    "a",
    "b.c",
    "r[\"x\"]",
    "1",
    "1.5",
    ".5",
    "1h30m",
    "2020-01-01",
    "2020-01-01T00:00:00Z",
    "\"t\"",
    "\"a${",
    "}\"",
    "\"",
    "/x/",
    "/",
    "\\",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "=",
    "=>",
    "|>",
    "<-",
    "==",
    "=~",
    "!~",
    "!=",
    "<",
    ">=",
    "+",
    "-",
    "*",
    "%",
    "^",
    ".",
    "not",
    "exists",
    "and",
    "or",
    "if",
    "then",
    "else",
    "return",
    "import",
    "package",
    "option",
    "builtin",
    "testcase",
    "with",
    "f(a: 1)",
    "(r) =>",
    "(t=<-) =>",
    "@a(1)",
    "// c\n",
    "\n",
    "é",
    "\u{feff}",
    "$",
    "'",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn trees_survive(file in file()) {
        let written = file.to_string();
        prop_assert_eq!(parse(&written), Ok(file), "{}", written);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "(?s).{0,60}") {
        read(&text);
    }

    #[test]
    fn pieces_of_flux_are_read_without_a_panic(pieces in vec(prop::sample::select(PIECES.to_vec()), 0..25)) {
        read(&pieces.join(" "));
        read(&pieces.concat());
    }

    #[test]
    fn mutated_texts_are_read_without_a_panic(
        file in file(),
        at in any::<prop::sample::Index>(),
        removed in 0..4_usize,
        added in prop::sample::select(PIECES.to_vec()),
    ) {
        let mut chars: Vec<char> = file.to_string().chars().collect();
        let at = at.index(chars.len() + 1);
        let end = (at + removed).min(chars.len());
        chars.splice(at..end, added.chars());
        read(&chars.into_iter().collect::<String>());
    }
}
