//! What is done once, when all nodes run: the cluster is formed, then databases and users are made. The scripts go to a
//! host's shell over SSH, so that the passwords in them stay on no host; each may be run again.

use skywatch_influxql::{format_duration, quote_ident, quote_string};

use crate::{
    cloud::{ADMIN, Database, Policy, Role, User, ports},
    file::{RenderedFile, head},
    plan::{Plan, paths},
};

/// See the module's header.
pub(crate) fn render(plan: &Plan) -> Vec<RenderedFile> {
    vec![
        RenderedFile::once("join.sh", join(plan)).secret().script(),
        RenderedFile::once("databases.sh", databases(plan)).secret().script(),
        RenderedFile::once("operator.sh", operator(plan)).secret(),
        RenderedFile::once("ca.pem", plan.certificates.authority.clone()),
    ]
}

fn join(plan: &Plan) -> String {
    let cloud = &plan.cloud;
    let first = cloud.with(Role::Meta).next().map_or("", |host| &host.name);
    let one = |role: Role, command: &str, port: u16| -> String {
        cloud
            .with(role)
            .map(|host| format!("ctl {command} {}:{port}\n", cloud.full_name(&host.name)))
            .collect()
    };
    let metas = one(Role::Meta, "add-meta", ports::META);
    let data = one(Role::Data, "add-data", ports::NODE);
    format!(
        "#!/bin/sh
{head}# Forms the cluster of nodes that run and wait for it; a node that is a member stays one. From here:
#   ssh root@{first} sh -s <cluster/join.sh
set -eu
# Lets this in while there is no user yet.
export SKYWATCH_SHARED_SECRET={tokens}
ctl() {{
    {binary} ctl -bind {bind} -bind-tls -ca {authority} -auth-type jwt -user {ADMIN} \"$@\"
}}

{metas}{data}
ctl show
",
        head = head("#", &cloud.name, "Members of the cluster"),
        tokens = plan.secrets.tokens,
        binary = paths::BINARY,
        bind = cloud.addresses(Role::Meta, ports::META),
        authority = paths::AUTHORITY,
    )
}

fn databases(plan: &Plan) -> String {
    let (cloud, secrets) = (&plan.cloud, &plan.secrets);
    let data = cloud.with(Role::Data).next().map_or("", |host| &host.name);
    let url = format!("https://{}:{}", cloud.full_name(data), ports::HTTP);
    let made: String = cloud.databases.iter().flat_map(policies).collect();
    let others = || cloud.users.iter().filter(|user| user.name != ADMIN);
    let users: String = others().map(|user| made_user(user, secrets.password(&user.name))).collect();
    let grants: String = others().map(grants).collect();
    let granted =
        if grants.is_empty() { grants } else { format!("\nadmin >/dev/null <<'END'\n{grants}END\n") };
    format!(
        "#!/bin/sh
{head}# Makes databases, retention policies and users; where they are there, they are made as the inventory says. From here:
#   ssh root@{data} sh -s <cluster/databases.sh
set -eu
export SKYWATCH_URL={url} SKYWATCH_CA={authority}
anybody() {{ {binary} query \"$@\"; }}
admin() {{ SKYWATCH_USER={ADMIN} SKYWATCH_PASSWORD={password} {binary} query \"$@\"; }}
there() {{ admin --format csv \"$1\" </dev/null | tr -d '\"' | grep -qxE \"(.*,)?$2(,.*)?\"; }}
# Of two statements the first where a question has no row with a word, else the second.
made() {{ if there \"$1\" \"$2\"; then sed -n 2p; else sed -n 1p; fi | admin >/dev/null; }}

# The first user is an administrator; until there is one nothing else is answered.
admin 'SHOW DATABASES' </dev/null >/dev/null 2>&1 || anybody >/dev/null <<'END'
CREATE USER {ADMIN} WITH PASSWORD {quoted} WITH ALL PRIVILEGES
END
{made}{users}{granted}
admin 'SHOW DATABASES; SHOW USERS' </dev/null
",
        head = head("#", &cloud.name, "Databases and users"),
        authority = paths::AUTHORITY,
        binary = paths::BINARY,
        password = secrets.password(ADMIN),
        quoted = quote_string(secrets.password(ADMIN)),
    )
}

/// What makes a database, or changes its policies to what the inventory says.
fn policies(database: &Database) -> Vec<String> {
    let name = quote_ident(&database.name);
    let one = |(at, policy): (usize, &Policy)| {
        let (own, options) = (quote_ident(&policy.name), options(policy));
        let (create, default) = match at {
            0 => (format!("CREATE DATABASE {name} WITH {options} NAME {own}"), " DEFAULT"),
            _ => (format!("CREATE RETENTION POLICY {own} ON {name} {options}"), ""),
        };
        let alter = format!("ALTER RETENTION POLICY {own} ON {name} {options}{default}");
        either(&format!("SHOW RETENTION POLICIES ON {name}"), &policy.name, &create, &alter)
    };
    database.policies.iter().enumerate().map(one).collect()
}

fn made_user(user: &User, password: &str) -> String {
    let (name, password) = (quote_ident(&user.name), quote_string(password));
    let privileges = if user.admin { " WITH ALL PRIVILEGES" } else { "" };
    let create = format!("CREATE USER {name} WITH PASSWORD {password}{privileges}");
    either("SHOW USERS", &user.name, &create, &format!("SET PASSWORD FOR {name} = {password}"))
}

/// One statement or the other, by whether a question has a row with a word.
fn either(question: &str, word: &str, create: &str, change: &str) -> String {
    format!("\nmade {} {} <<'END'\n{create}\n{change}\nEND\n", shell(question), shell(&pattern(word)))
}

/// A later grant takes the place of an earlier one, so who may do both is granted all.
fn grants(user: &User) -> String {
    let name = quote_ident(&user.name);
    let both = |database: &String| user.read.contains(database) && user.write.contains(database);
    let read = user.read.iter().filter(|database| !both(database)).map(|database| ("READ", database));
    let write = user.write.iter().map(|database| (if both(database) { "ALL" } else { "WRITE" }, database));
    read.chain(write)
        .map(|(right, database)| format!("GRANT {right} ON {} TO {name}\n", quote_ident(database)))
        .collect()
}

fn options(policy: &Policy) -> String {
    let duration = policy.duration.map_or_else(|| "INF".to_owned(), format_duration);
    let shard = policy.shard_duration.map(|span| format!(" SHARD DURATION {}", format_duration(span)));
    format!("DURATION {duration} REPLICATION {}{}", policy.replication, shard.unwrap_or_default())
}

/// For an operator's shell, here or on a host of the cloud.
fn operator(plan: &Plan) -> String {
    let cloud = &plan.cloud;
    let url = cloud.entrances().into_iter().next().unwrap_or_default();
    format!(
        "{head}# In the shell of an operator, in the directory above this one, or on a host of the cloud:
#   . cluster/operator.sh
#   ctl show
#   skywatch query --db {database} 'SHOW MEASUREMENTS'
SKYWATCH_CA={authority}
[ ! -e cluster/ca.pem ] || SKYWATCH_CA=$PWD/cluster/ca.pem
SKYWATCH_URL={url}
SKYWATCH_USER={ADMIN}
SKYWATCH_PASSWORD={password}
SKYWATCH_SHARED_SECRET={tokens}
export SKYWATCH_CA SKYWATCH_URL SKYWATCH_USER SKYWATCH_PASSWORD SKYWATCH_SHARED_SECRET
ctl() {{
    skywatch ctl -bind {metas} -bind-tls -ca \"$SKYWATCH_CA\" -auth-type jwt -user {ADMIN} \"$@\"
}}
",
        head = head("#", &cloud.name, "Who the operator is"),
        database = cloud.agents.database,
        authority = paths::AUTHORITY,
        password = plan.secrets.password(ADMIN),
        tokens = plan.secrets.tokens,
        metas = cloud.addresses(Role::Meta, ports::META),
    )
}

/// A text as one word of a shell. Names of an inventory have no quotes in them; questions have.
fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A name as an extended regular expression.
fn pattern(name: &str) -> String {
    name.chars().fold(String::new(), |mut pattern, letter| {
        if !letter.is_alphanumeric() && !matches!(letter, '_' | '-' | ' ') {
            pattern.push('\\');
        }
        pattern.push(letter);
        pattern
    })
}
