//! What units have in common: who services run as, and what they may not.

use crate::{cloud::Cloud, file::head};

/// A service of Java's.
pub(crate) struct JavaService<'a> {
    pub(crate) what: &'a str,
    pub(crate) documentation: &'a str,
    /// Units that are to be up before, with a space before each.
    pub(crate) after: &'a str,
    pub(crate) user: &'a str,
    pub(crate) start: String,
    /// Lines before the start.
    pub(crate) before: String,
    pub(crate) heap_mib: u64,
    /// The directory that it may write.
    pub(crate) data: &'a str,
    /// Below /var/log.
    pub(crate) logs: &'a str,
    pub(crate) stop_secs: u32,
}

/// The unit of such a service.
pub(crate) fn java_unit(cloud: &Cloud, service: &JavaService<'_>) -> String {
    let JavaService { what, documentation, after, user, start, before, heap_mib, data, logs, stop_secs } =
        service;
    format!(
        "{head}
[Unit]
Description={what}
Documentation={documentation}
Wants=network-online.target
After=network-online.target time-sync.target{after}
StartLimitIntervalSec=0

[Service]
Type=simple
{before}ExecStart={start}
# The heap; what the host has besides is page cache.
Environment=\"KAFKA_HEAP_OPTS=-Xms{heap_mib}m -Xmx{heap_mib}m\"
Environment=LOG_DIR=/var/log/{logs}
User={user}
Group={user}
Restart=on-failure
RestartSec=5s
# It ends with this status when it is told to.
SuccessExitStatus=143
TimeoutStopSec={stop_secs}s
LimitNOFILE=131072
OOMPolicy=stop
ReadWritePaths={data}
LogsDirectory={logs}
UMask=0027

{HARDENING}
[Install]
WantedBy=multi-user.target
",
        head = head("#", &cloud.name, what),
    )
}

/// What no service of ours needs. Java writes memory that it executes, so that is not among it.
pub(crate) const HARDENING: &str = "\
# It may write its own directories and nothing else, and reach the network and nothing else.
ProtectSystem=strict
ProtectHome=true
PrivateTmp=true
PrivateDevices=true
PrivateUsers=true
PrivateIPC=true
ProtectClock=true
ProtectControlGroups=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
ProtectProc=invisible
NoNewPrivileges=true
CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=true
RemoveIPC=true
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
";
