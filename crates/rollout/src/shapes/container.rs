//! Tables of what a container is created with.

use super::component::COMMAND;
use super::patterns;
use crate::shape::{Field, Kind, Shape};

const TEXTS: Kind = Kind::List(&Kind::Text);
const CAPABILITIES: Kind = Kind::List(&patterns::CAPABILITY);
const PAIRS: Kind = Kind::Any(&[Kind::Texts, Kind::List(&patterns::PAIR)]);
const HOSTS: Kind = Kind::Any(&[Kind::MapOf(&patterns::HOST_TARGET), Kind::List(&patterns::HOST)]);

/// Fields of app and workers that describe their containers.
pub(crate) static CONTAINER: &[Field] = &[
    Field::new("entrypoint", COMMAND, "[/app/server]", "Instead of the image's entrypoint."),
    Field::new(
        "command",
        COMMAND,
        "[serve, --verbose]",
        "Instead of the image's command: a list of words, or one text that is split into words as a shell would; no shell \
         runs it.",
    ),
    Field::new("user", patterns::WORD, "\"1000:1000\"", "User, or user:group, that runs inside."),
    Field::new("groupAdd", TEXTS, "[video]", "Supplementary groups."),
    Field::new("workdir", patterns::INSIDE, "/app", "Working directory inside."),
    Field::new(
        "env",
        PAIRS,
        "{ LOG_LEVEL: info }",
        "Environment: a mapping, or a list of KEY=VALUE. Wins over envFiles. Part of the revision.",
    ),
    Field::new(
        "envFiles",
        Kind::OneOrMany(&patterns::FILE_PATH),
        "[.env]",
        "Files of KEY=VALUE lines, relative to the manifest; later ones win. Their content is part of the revision. Their \
         variables may also be used as ${NAME}.",
    ),
    Field::new(
        "mounts",
        Kind::List(&Kind::Any(&[patterns::MOUNT, Kind::Object(&MOUNT)])),
        "[\"/etc/ssl/certs:/etc/ssl/certs:ro\"]",
        "Paths of the host: source:target:ro, or an object. A writable one must say `sharing`.",
    ),
    Field::new(
        "volumes",
        Kind::List(&Kind::Any(&[patterns::VOLUME, Kind::Object(&VOLUME)])),
        "[\"assets:/assets:ro\"]",
        "Named volumes: name:target:ro, or an object. A writable one must say `sharing`.",
    ),
    Field::new(
        "tmpfs",
        Kind::Any(&[Kind::OneOrMany(&patterns::TMPFS), Kind::Texts]),
        "[/tmp]",
        "Paths inside that live in memory: path, or path:options.",
    ),
    Field::new(
        "secrets",
        Kind::List(&Kind::Object(&FILE)),
        "[{ file: db.key, target: /run/secrets/db.key }]",
        "Files that are copied when the manifest changes and mounted read-only; never shown.",
    ),
    Field::new(
        "configs",
        Kind::List(&Kind::Object(&FILE)),
        "[{ file: app.toml, target: /etc/app.toml }]",
        "Files that are copied when the manifest changes and mounted read-only, mode 0444 by default.",
    ),
    Field::new(
        "networks",
        Kind::List(&patterns::DOCKER_NAME),
        "[backend]",
        "Existing networks that the container joins beside canaryd's own: where its database lives.",
    ),
    Field::new(
        "extraHosts",
        HOSTS,
        "[\"db:10.0.0.5\"]",
        "Entries for /etc/hosts: a list of name:address, or a mapping.",
    ),
    Field::new("dns", Kind::OneOrMany(&patterns::ADDRESS), "[10.0.0.2]", "DNS servers."),
    Field::new("dnsSearch", Kind::OneOrMany(&Kind::Text), "[corp.example]", "DNS search domains."),
    Field::new("resources", Kind::Object(&RESOURCES), "{ cpus: 2, memory: 2Gi }", "Limits of one container."),
    Field::new(
        "gpus",
        Kind::Any(&[Kind::Choice(&["all"]), Kind::Whole(1, 64), Kind::Object(&GPUS)]),
        "all",
        "GPUs: all, a number, or an object that names them.",
    ),
    Field::new(
        "devices",
        Kind::List(&patterns::DEVICE),
        "[/dev/snd]",
        "Devices of the host: path, path:path or path:path:rwm.",
    ),
    Field::new("shmSize", Kind::Size, "256m", "Size of /dev/shm."),
    Field::new(
        "ulimits",
        Kind::MapOf(&Kind::Any(&[Kind::Whole(-1, i64::MAX), Kind::Object(&ULIMIT)])),
        "{ nofile: 65536 }",
        "Limits of processes: name → number, or soft and hard.",
    ),
    Field::new("sysctls", PAIRS, "{ net.core.somaxconn: 1024 }", "Kernel settings of the container's namespaces."),
    Field::new("capAdd", CAPABILITIES, "[NET_BIND_SERVICE]", "Capabilities that are added."),
    Field::new("capDrop", CAPABILITIES, "[ALL]", "Capabilities that are dropped."),
    Field::new("securityOpt", TEXTS, "[\"no-new-privileges:true\"]", "Security options."),
    Field::new("init", Kind::Flag, "true", "An init process inside that reaps.").default("false"),
    Field::new("readOnly", Kind::Flag, "true", "A read-only root file system.").default("false"),
    Field::new(
        "labels",
        PAIRS,
        "{ team: web }",
        "Labels of the containers: a mapping, or a list of KEY=VALUE. io.canaryd.* and com.docker.compose.* are taken.",
    ),
    Field::new("logging", Kind::Object(&LOGGING), "{ driver: journald }", "Where the output goes."),
    Field::new("platform", patterns::PLATFORM, "linux/amd64", "Platform of the image: os/arch or os/arch/variant."),
    Field::new("stopSignal", patterns::SIGNAL, "SIGQUIT", "Signal that asks it to end, where it is not the image's."),
];

/// One of `mounts`.
pub(crate) const MOUNT: Shape = Shape {
    name: "mount",
    doc: "A path of the host, mounted into the container.",
    groups: &[&[
        Field::new("source", patterns::HOST_PATH, "/srv/uploads", "Absolute path of the host.").required(),
        TARGET,
        READ_ONLY,
        Field::new(
            "sharing",
            Kind::Choice(&["shared"]),
            "shared",
            "Required for a writable one: shared = while a rollout runs, the old and the new version write to the same \
             place, and the application copes with that.",
        ),
    ]],
};

/// One of `volumes`.
pub(crate) const VOLUME: Shape = Shape {
    name: "volume",
    doc: "A named volume, mounted into the container.",
    groups: &[&[
        Field::new("source", patterns::DOCKER_NAME, "uploads", "Name of the volume.").required(),
        TARGET,
        READ_ONLY,
        Field::new(
            "sharing",
            Kind::Choice(&["shared", "perRevision"]),
            "perRevision",
            "Required for a writable one: shared = while a rollout runs, the old and the new version write to the same \
             place, and the application copes with that; perRevision = each revision has a volume of its own, empty at \
             first.",
        ),
    ]],
};

const TARGET: Field = Field::new("target", patterns::INSIDE, "/uploads", "Absolute path inside.").required();
const READ_ONLY: Field = Field::new("readOnly", Kind::Flag, "true", "Not writable from inside.").default("false");

/// One of `secrets` and `configs`.
pub(crate) const FILE: Shape = Shape {
    name: "file",
    doc: "A file that is copied when the manifest changes and mounted read-only.",
    groups: &[&[
        Field::new("file", patterns::FILE_PATH, "db.key", "The file, relative to the manifest.").required(),
        Field::new("target", patterns::INSIDE, "/run/secrets/db.key", "Absolute path inside.").required(),
        Field::new(
            "mode",
            Kind::Mode,
            "\"0440\"",
            "File mode in octal, such as 0555 for a script. The file belongs to root, and every user inside may read it, whatever is said here.",
        ),
    ]],
};

/// `resources`.
pub(crate) const RESOURCES: Shape = Shape {
    name: "resources",
    doc: "Limits of one container. While a rollout runs both versions have them.",
    groups: &[&[
        Field::new("cpus", patterns::CPUS, "1.5", "CPUs."),
        Field::new("memory", Kind::Size, "2Gi", "Most memory; units are binary, 1g is 1024m."),
        Field::new("memoryReservation", Kind::Size, "512m", "Memory that is kept free for it; at most `memory`."),
        Field::new("pids", Kind::Whole(1, 4_194_304), "200", "Most processes."),
    ]],
};

/// `gpus` as an object.
pub(crate) const GPUS: Shape = Shape {
    name: "gpus",
    doc: "GPUs of one container: a number of them, or the ones with these ids.",
    groups: &[&[
        Field::new("count", Kind::Whole(1, 64), "1", "This many."),
        Field::new("devices", Kind::List(&Kind::Text), "[\"0\", \"1\"]", "Those of these ids."),
    ]],
};

/// One of `ulimits` as an object.
pub(crate) const ULIMIT: Shape = Shape {
    name: "ulimit",
    doc: "Soft and hard limit.",
    groups: &[&[
        Field::new("soft", Kind::Whole(-1, i64::MAX), "1024", "Soft limit; -1 is none.").required(),
        Field::new("hard", Kind::Whole(-1, i64::MAX), "65536", "Hard limit; -1 is none.").required(),
    ]],
};

/// `logging`.
pub(crate) const LOGGING: Shape = Shape {
    name: "logging",
    doc: "Where a container's output goes.",
    groups: &[&[
        Field::new("driver", patterns::WORD, "json-file", "Log driver of the engine.").required(),
        Field::new("options", Kind::Texts, "{ max-size: 10m }", "Options of the driver."),
    ]],
};
