//! Generated trees survive being written and read again.

use proptest::{collection::vec, option, prelude::*};
use skywatch_influxql::{
    AlterRetentionPolicy, BinaryOp, Call, CreateContinuousQuery, CreateDatabase, CreateRetentionPolicy,
    CreateSubscription, DataType, Delete, DropContinuousQuery, DropDatabase, DropMeasurement,
    DropRetentionPolicy, DropSeries, DropShard, DropSubscription, DropUser, Explain, Expr, Field, Fill,
    Grant, GrantAdmin, KillQuery, Measurement, MeasurementName, Privilege, Query, RegexLiteral,
    RetentionPolicySpec, Revoke, RevokeAdmin, Select, Show, ShowCardinality, ShowDiagnostics, ShowFieldKeys,
    ShowGrants, ShowMeasurements, ShowRetentionPolicies, ShowSeries, ShowStats, ShowTagKeys, ShowTagValues,
    ShowTagValuesCardinality, SortField, Source, Statement, SubscriptionMode, TagKeyFilter, Target, TimeZone,
    VarRef, WildcardKind, parse_query,
};

/// Every name that InfluxQL can spell: no NUL ends it, and a carriage return cannot be escaped.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z_][a-z0-9_]{0,5}",
        1 => "[A-Za-z]{1,3}",
        1 => Just("select".to_owned()),
        1 => "[^\0\r]{1,6}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{0,6}", "[^\0\r]{0,6}"]
}

fn regex() -> impl Strategy<Value = RegexLiteral> {
    prop::sample::select(vec!["a.*b", "a/b", "(?i)x", "\\d+", "^$", "\\\\a", "a\\/b", "é", "[/]"])
        .prop_filter_map("valid", |pattern| RegexLiteral::new(pattern).ok())
}

fn var() -> impl Strategy<Value = VarRef> {
    let casts = vec![
        DataType::Float,
        DataType::Integer,
        DataType::Unsigned,
        DataType::String,
        DataType::Boolean,
        DataType::AnyField,
        DataType::Tag,
    ];
    (name(), option::weighted(0.3, prop::sample::select(casts)))
        .prop_map(|(name, cast)| VarRef { name, cast })
}

fn duration() -> impl Strategy<Value = i64> {
    prop_oneof![0..=i64::MAX, (0..1000_i64).prop_map(|minutes| minutes * 60_000_000_000)]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |number| number.is_finite()),
        (-1000..1000_i32).prop_map(|number| f64::from(number) / 4.0),
    ]
}

fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        4 => var().prop_map(Expr::VarRef),
        1 => any::<i64>().prop_map(Expr::Integer),
        1 => (i64::MAX.unsigned_abs() + 1..=u64::MAX).prop_map(Expr::Unsigned),
        1 => number().prop_map(Expr::Number),
        1 => text().prop_map(Expr::String),
        1 => any::<bool>().prop_map(Expr::Boolean),
        1 => duration().prop_map(Expr::Duration),
        1 => name().prop_map(Expr::Distinct),
        1 => prop::sample::select(vec![None, Some(WildcardKind::Field), Some(WildcardKind::Tag)])
            .prop_map(Expr::Wildcard),
    ]
}

const ARITHMETIC: [BinaryOp; 8] = [
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::Div,
    BinaryOp::Mod,
    BinaryOp::BitAnd,
    BinaryOp::BitOr,
    BinaryOp::BitXor,
];

const LOGIC: [BinaryOp; 8] = [
    BinaryOp::And,
    BinaryOp::Or,
    BinaryOp::Eq,
    BinaryOp::NotEq,
    BinaryOp::Lt,
    BinaryOp::LtEq,
    BinaryOp::Gt,
    BinaryOp::GtEq,
];

/// A binary expression as the parser would build it: looser operands stand in parentheses.
fn joined(op: BinaryOp, lhs: Expr, rhs: Expr) -> Expr {
    let guard = |operand: Expr, precedence: u8| match &operand {
        Expr::Binary(inner) if inner.op.precedence() < precedence => Expr::Paren(Box::new(operand)),
        _ => operand,
    };
    let lhs = guard(lhs, op.precedence());
    Expr::binary(op, lhs, guard(rhs, op.precedence() + 1))
}

fn tree(operators: &'static [BinaryOp]) -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(4, 24, 3, move |inner| {
        let argument = prop_oneof![4 => inner.clone(), 1 => regex().prop_map(Expr::Regex)];
        prop_oneof![
            3 => (prop::sample::select(operators), inner.clone(), inner.clone())
                .prop_map(|(op, lhs, rhs)| joined(op, lhs, rhs)),
            1 => inner.prop_map(|inner| Expr::Paren(Box::new(inner))),
            // They lose their capitals, and may stand in quotes.
            1 => ("[a-z]{1,4}_f|[a-zé0-9 ()\"'\\\\\n,.]{1,4}_f", vec(argument, 0..3))
                .prop_map(|(name, args)| Expr::Call(Call { name, args })),
        ]
    })
}

fn arithmetic() -> impl Strategy<Value = Expr> {
    tree(&ARITHMETIC)
}

fn condition() -> impl Strategy<Value = Option<Expr>> {
    let test = (var(), prop::sample::select(vec![BinaryOp::EqRegex, BinaryOp::NotEqRegex]), regex())
        .prop_map(|(var, op, regex)| Expr::binary(op, Expr::VarRef(var), Expr::Regex(regex)));
    let both = (tree(&LOGIC), test).prop_map(|(lhs, rhs)| joined(BinaryOp::And, lhs, rhs));
    option::of(prop_oneof![tree(&LOGIC), arithmetic(), both])
}

fn measurement() -> impl Strategy<Value = Measurement> {
    let named = prop_oneof![
        3 => name().prop_map(MeasurementName::Name),
        1 => regex().prop_map(MeasurementName::Regex),
    ];
    (option::of(name()), option::of(name()), named)
        .prop_map(|(database, retention_policy, name)| Measurement { database, retention_policy, name })
}

fn plain_sources() -> impl Strategy<Value = Vec<Source>> {
    vec(measurement().prop_map(Source::Measurement), 0..3)
}

/// As `DELETE` wants them.
fn unqualified_sources() -> impl Strategy<Value = Vec<Source>> {
    let unqualified = measurement().prop_map(|measurement| {
        Source::Measurement(Measurement { database: None, retention_policy: None, ..measurement })
    });
    vec(unqualified, 0..3)
}

fn target() -> impl Strategy<Value = Target> {
    (option::of(name()), option::of(name()), name(), any::<bool>()).prop_map(
        |(database, policy, name, same)| {
            // `:MEASUREMENT` stands behind a policy or not at all.
            let measurement = (!same || (database.is_none() && policy.is_none())).then_some(name);
            Target { database, retention_policy: policy, measurement }
        },
    )
}

fn dimensions() -> impl Strategy<Value = Vec<Expr>> {
    let time = (duration(), option::of(duration())).prop_map(|(interval, offset)| {
        let args = [Some(interval), offset].into_iter().flatten().map(Expr::Duration).collect();
        Expr::Call(Call { name: "time".to_owned(), args })
    });
    vec(
        prop_oneof![
            var().prop_map(Expr::VarRef),
            time,
            Just(Expr::Wildcard(None)),
            regex().prop_map(Expr::Regex)
        ],
        0..3,
    )
}

fn fill() -> impl Strategy<Value = Fill> {
    prop_oneof![
        Just(Fill::Null),
        Just(Fill::None),
        Just(Fill::Previous),
        Just(Fill::Linear),
        any::<i64>().prop_map(Fill::Integer),
        (-1000..1000_i32).prop_map(|number| Fill::Number(f64::from(number) + 0.25)),
    ]
}

fn order_by() -> impl Strategy<Value = Vec<SortField>> {
    prop_oneof![
        2 => Just(Vec::new()),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(named, ascending)| {
            vec![SortField { name: named.then(|| "time".to_owned()), ascending }]
        }),
    ]
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..100_u64, Just(i64::MAX.unsigned_abs())]
}

fn counts() -> impl Strategy<Value = [u64; 4]> {
    [count(), count(), count(), count()]
}

fn select_from(sources: impl Strategy<Value = Vec<Source>>) -> impl Strategy<Value = Select> {
    let field = prop_oneof![
        6 => arithmetic(),
        1 => regex().prop_map(Expr::Regex),
    ];
    let fields =
        vec((field, option::weighted(0.3, name())).prop_map(|(expr, alias)| Field { expr, alias }), 1..4);
    let zone = option::of(
        prop::sample::select(vec!["UTC", "Europe/Berlin"]).prop_filter_map("known", TimeZone::named),
    );
    let head = (fields, option::of(target()), sources, condition());
    let tail = (dimensions(), fill(), order_by(), counts(), zone);
    (head, tail).prop_map(|(head, tail)| {
        let (fields, into, from, condition) = head;
        let (group_by, fill, order_by, [limit, offset, slimit, soffset], time_zone) = tail;
        Select {
            fields,
            into,
            from,
            condition,
            group_by,
            fill,
            order_by,
            limit,
            offset,
            slimit,
            soffset,
            time_zone,
        }
    })
}

fn select() -> impl Strategy<Value = Select> {
    let plain = || vec(measurement().prop_map(Source::Measurement), 1..3);
    let nested = select_from(plain()).prop_map(|select| vec![Source::Subquery(Box::new(select))]);
    select_from(prop_oneof![3 => plain(), 1 => nested])
}

fn cardinality() -> impl Strategy<Value = ShowCardinality> {
    (option::of(name()), any::<bool>(), plain_sources(), condition(), dimensions(), count(), count())
        .prop_map(|(database, exact, from, condition, group_by, limit, offset)| ShowCardinality {
            database,
            exact,
            from,
            condition,
            group_by,
            limit,
            offset,
        })
}

fn key_filter() -> impl Strategy<Value = TagKeyFilter> {
    prop_oneof![
        name().prop_map(TagKeyFilter::Equal),
        name().prop_map(TagKeyFilter::NotEqual),
        regex().prop_map(TagKeyFilter::Matches),
        regex().prop_map(TagKeyFilter::NotMatches),
        vec(name(), 1..4).prop_map(TagKeyFilter::In),
    ]
}

fn show_measurements() -> impl Strategy<Value = ShowMeasurements> {
    let scope = (option::of(name()), option::of(name()), 0..6_u8);
    (scope, option::of(measurement()), condition(), order_by(), count(), count()).prop_map(
        |((database, policy, kind), source, condition, order_by, limit, offset)| {
            let all_databases = kind == 0 || kind == 1;
            let database = database.filter(|_| !all_databases);
            let all_retention_policies = (all_databases || database.is_some()) && kind % 2 == 0;
            let policy_possible =
                (all_databases && !all_retention_policies) || (database.is_some() && kind == 3);
            let retention_policy = match (policy_possible, policy) {
                (false, _) => None,
                (true, policy) => Some(policy.unwrap_or_else(|| "autogen".to_owned())),
            };
            ShowMeasurements {
                database,
                retention_policy,
                all_databases,
                all_retention_policies,
                source: source.map(Source::Measurement),
                condition,
                order_by,
                limit,
                offset,
            }
        },
    )
}

fn show() -> impl Strategy<Value = Show> {
    let database = || option::of(name());
    let clauses = || (database(), plain_sources(), condition(), order_by(), counts());
    prop_oneof![
        prop::sample::select(vec![
            Show::ContinuousQueries,
            Show::Databases,
            Show::Queries,
            Show::Servers,
            Show::ShardGroups,
            Show::Shards,
            Show::Subscriptions,
            Show::Users,
        ]),
        option::of(text()).prop_map(|module| Show::Diagnostics(ShowDiagnostics { module })),
        option::of(text()).prop_map(|module| Show::Stats(ShowStats { module })),
        name().prop_map(|user| Show::Grants(ShowGrants { user })),
        database().prop_map(|database| Show::RetentionPolicies(ShowRetentionPolicies { database })),
        show_measurements().prop_map(Show::Measurements),
        clauses().prop_map(|(database, from, condition, order_by, [limit, offset, ..])| {
            Show::Series(ShowSeries { database, from, condition, order_by, limit, offset })
        }),
        clauses().prop_map(|(database, from, condition, order_by, [limit, offset, slimit, soffset])| {
            Show::TagKeys(ShowTagKeys { database, from, condition, order_by, limit, offset, slimit, soffset })
        }),
        (clauses(), key_filter()).prop_map(
            |((database, from, condition, order_by, [limit, offset, ..]), key)| {
                Show::TagValues(ShowTagValues { database, from, key, condition, order_by, limit, offset })
            }
        ),
        clauses().prop_map(|(database, from, _, order_by, [limit, offset, ..])| {
            Show::FieldKeys(ShowFieldKeys { database, from, order_by, limit, offset })
        }),
        cardinality().prop_map(Show::SeriesCardinality),
        cardinality().prop_map(Show::MeasurementCardinality),
        cardinality().prop_map(Show::TagKeyCardinality),
        cardinality().prop_map(Show::FieldKeyCardinality),
        (cardinality(), key_filter()).prop_map(|(cardinality, key)| {
            Show::TagValuesCardinality(ShowTagValuesCardinality { cardinality, key })
        }),
    ]
}

fn database_statement() -> impl Strategy<Value = Statement> {
    let replication = || 1..=i32::MAX.unsigned_abs();
    let spec =
        (option::of(duration()), option::of(replication()), option::of(duration()), option::of(name()))
            .prop_map(|(duration, replication, shard_duration, name)| {
                let spec = RetentionPolicySpec { duration, replication, shard_duration, name };
                (spec != RetentionPolicySpec::default()).then_some(spec)
            });
    prop_oneof![
        (name(), spec).prop_map(|(name, retention_policy)| {
            Statement::CreateDatabase(CreateDatabase { name, retention_policy })
        }),
        name().prop_map(|name| Statement::DropDatabase(DropDatabase { name })),
        (name(), name(), duration(), replication(), duration(), any::<bool>()).prop_map(
            |(name, database, duration, replication, shard_duration, default)| {
                Statement::CreateRetentionPolicy(CreateRetentionPolicy {
                    name,
                    database,
                    duration,
                    replication,
                    shard_duration,
                    default,
                })
            }
        ),
        (name(), name(), option::of(duration()), option::of(replication()), option::of(duration())).prop_map(
            |(name, database, duration, replication, shard_duration)| {
                let default = duration.is_none() && replication.is_none() && shard_duration.is_none();
                Statement::AlterRetentionPolicy(AlterRetentionPolicy {
                    name,
                    database,
                    duration,
                    replication,
                    shard_duration,
                    default,
                })
            }
        ),
        (name(), name()).prop_map(|(name, database)| {
            Statement::DropRetentionPolicy(DropRetentionPolicy { name, database })
        }),
        (name(), name()).prop_map(|(name, database)| {
            Statement::DropContinuousQuery(DropContinuousQuery { name, database })
        }),
        (name(), name(), name(), any::<bool>(), vec(text(), 1..3)).prop_map(
            |(name, database, retention_policy, all, destinations)| {
                let mode = if all { SubscriptionMode::All } else { SubscriptionMode::Any };
                Statement::CreateSubscription(CreateSubscription {
                    name,
                    database,
                    retention_policy,
                    mode,
                    destinations,
                })
            }
        ),
        (name(), name(), name()).prop_map(|(name, database, retention_policy)| {
            Statement::DropSubscription(DropSubscription { name, database, retention_policy })
        }),
    ]
}

/// A query that may be run again and again: it has a target and groups by time.
fn continuous_query() -> impl Strategy<Value = Statement> {
    (name(), name(), select(), name(), 1..i64::MAX, option::of(1..i64::MAX)).prop_map(
        |(name, database, mut select, measurement, interval, resample_every)| {
            select.into.get_or_insert(Target {
                database: None,
                retention_policy: None,
                measurement: Some(measurement),
            });
            let args = vec![Expr::Duration(interval)];
            select.group_by = vec![Expr::Call(Call { name: "time".to_owned(), args })];
            let resample_for = resample_every.map(|every| every.max(interval));
            Statement::CreateContinuousQuery(CreateContinuousQuery {
                name,
                database,
                resample_every,
                resample_for,
                select: Box::new(select),
            })
        },
    )
}

/// Every statement but the two that hold passwords, which are never written.
fn statement() -> impl Strategy<Value = Statement> {
    let privilege = || prop::sample::select(vec![Privilege::Read, Privilege::Write, Privilege::All]);
    let removed = || {
        (unqualified_sources(), condition()).prop_map(|(from, condition)| {
            let condition = if from.is_empty() { condition.or(Some(Expr::Boolean(true))) } else { condition };
            (from, condition)
        })
    };
    prop_oneof![
        6 => select().prop_map(|select| Statement::Select(Box::new(select))),
        1 => (any::<bool>(), select())
            .prop_map(|(analyze, select)| Statement::Explain(Explain { analyze, select: Box::new(select) })),
        6 => show().prop_map(Statement::Show),
        4 => database_statement(),
        2 => continuous_query(),
        1 => removed().prop_map(|(from, condition)| Statement::Delete(Delete { from, condition })),
        1 => removed().prop_map(|(from, condition)| Statement::DropSeries(DropSeries { from, condition })),
        1 => name().prop_map(|name| Statement::DropMeasurement(DropMeasurement { name })),
        1 => any::<u64>().prop_map(|id| Statement::DropShard(DropShard { id })),
        1 => name().prop_map(|name| Statement::DropUser(DropUser { name })),
        1 => (any::<u64>(), option::of(name())).prop_map(|(id, host)| Statement::KillQuery(KillQuery { id, host })),
        1 => (privilege(), name(), name())
            .prop_map(|(privilege, database, user)| Statement::Grant(Grant { privilege, database, user })),
        1 => (privilege(), name(), name())
            .prop_map(|(privilege, database, user)| Statement::Revoke(Revoke { privilege, database, user })),
        1 => name().prop_map(|user| Statement::GrantAdmin(GrantAdmin { user })),
        1 => name().prop_map(|user| Statement::RevokeAdmin(RevokeAdmin { user })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back(statements in vec(statement(), 1..3)) {
        let query = Query { statements };
        let text = query.to_string();
        let again = parse_query(&text);
        prop_assert_eq!(again.as_ref(), Ok(&query), "{}", text);
    }

    #[test]
    fn no_text_is_fatal(text in ".{0,40}") {
        let _anything = parse_query(&text);
    }

    #[test]
    fn no_mix_of_tokens_is_fatal(words in vec(prop::sample::select(WORDS.to_vec()), 0..20)) {
        if let Ok(query) = parse_query(&words.join(" ")) {
            let text = query.to_string();
            prop_assert!(text.contains("[REDACTED]") || parse_query(&text).as_ref() == Ok(&query), "{}", text);
        }
    }
}

const WORDS: [&str; 44] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "a",
    "b",
    "*",
    "mean(",
    "(",
    ")",
    ",",
    "=",
    "=~",
    "/x/",
    "+",
    "-",
    "1",
    "1.5",
    "1h",
    "'s'",
    "\"q\"",
    "time",
    "time(1m)",
    "fill(none)",
    "ORDER BY",
    "DESC",
    "LIMIT",
    "INTO",
    ";",
    "SHOW",
    "TAG VALUES",
    "KEY",
    "WITH",
    "IN",
    "::tag",
    "tz('UTC')",
    "DISTINCT",
    "AND",
    "OR",
    ".",
    ":MEASUREMENT",
    "ON",
    "EXPLAIN",
    "DELETE",
];

#[test]
fn long_lists_of_alternatives_stay_shallow() {
    let hosts: Vec<String> = (0..100_000).map(|host| format!("host = 'h{host}'")).collect();
    let text = format!("SELECT a FROM b WHERE {}", hosts.join(" OR "));
    let query = parse_query(&text).unwrap();
    assert_eq!(query.to_string(), text);
}

#[test]
fn nesting_is_bounded() {
    for text in [
        format!("SELECT {}a{} FROM b", "(".repeat(100_000), ")".repeat(1_000_000)),
        format!("SELECT {}a{} FROM b", "f(".repeat(100_000), ")".repeat(1_000_000)),
        format!("SELECT a {}", "FROM (SELECT a ".repeat(100_000)),
        format!("SELECT a{} FROM b", " + a".repeat(100_000)),
        format!("SELECT a FROM b WHERE {}", "a = (".repeat(100_000)),
        format!("SELECT {}a FROM b", "-(".repeat(100_000)),
    ] {
        let error = parse_query(&text).unwrap_err().to_string();
        assert!(error.contains("deep"), "{error}");
    }
}
