//! What texts look like, as regular expressions for editors. The decoder has rules of its own; a test holds the two together.

use crate::shape::Kind;

/// Image reference.
pub(crate) const IMAGE: Kind = Kind::Like(
    "^((localhost(:[0-9]{1,5})?|[a-zA-Z0-9-]*\\.[a-zA-Z0-9.-]*(:[0-9]{1,5})?|[a-zA-Z0-9.-]+:[0-9]{1,5})/)?\
     [a-z0-9]([a-z0-9._-]*[a-z0-9])?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*\
     (:[A-Za-z0-9_][A-Za-z0-9._-]*)?(@sha256:[a-f0-9]{64})?$",
);
/// `spec.version`.
pub(crate) const VERSION: Kind = Kind::Like("^[a-zA-Z0-9_][a-zA-Z0-9._+-]*$");
/// Absolute path inside a container.
pub(crate) const INSIDE: Kind = Kind::TextLike("^/[^:\\n]*$");
/// Absolute path of the host.
pub(crate) const HOST_PATH: Kind = Kind::TextLike("^/");
/// Path of a file beside the manifest.
pub(crate) const FILE_PATH: Kind = Kind::Any(&[Kind::TextLike("^[^\\n]+$"), Kind::Number(-1e300, 1e300), Kind::Flag]);
/// Path of a URL, without what could end a directive of NGINX.
pub(crate) const URL_PATH: Kind = Kind::TextLike("^/[!%&()*+,./0-9:<=>?@A-Z\\[\\]^_`a-z|~-]*$");
/// One word.
pub(crate) const WORD: Kind = Kind::Any(&[Kind::TextLike("^\\S+$"), Kind::Number(-1e300, 1e300), Kind::Flag]);
/// Network or volume.
pub(crate) const DOCKER_NAME: Kind = Kind::Like("^[a-zA-Z0-9][a-zA-Z0-9_.-]*$");
/// DNS label.
pub(crate) const LABEL: Kind = Kind::Like("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$");
/// Name of a header.
pub(crate) const HEADER: Kind =
    Kind::Any(&[Kind::TextLike("^[a-zA-Z0-9-]{1,64}$"), Kind::Whole(i64::MIN, i64::MAX), Kind::Flag]);
/// Name of a cookie or of a query parameter.
pub(crate) const COOKIE: Kind = Kind::Any(&[Kind::TextLike("^[a-zA-Z][a-zA-Z0-9_]{0,63}$"), Kind::Flag]);
/// Mode of a request.
pub(crate) const MODE: Kind = Kind::Like("^[a-zA-Z0-9_.-]{1,64}$");
/// Address or network.
pub(crate) const NETWORK: Kind =
    Kind::TextLike("^(([0-9]{1,3}\\.){3}[0-9]{1,3}|([0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F.]{0,15})(/[0-9]{1,3})?$");
/// Address.
pub(crate) const ADDRESS: Kind =
    Kind::TextLike("^(([0-9]{1,3}\\.){3}[0-9]{1,3}|([0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F.]{0,15})$");
/// What a name of `extraHosts` leads to.
pub(crate) const HOST_TARGET: Kind =
    Kind::TextLike("^(host-gateway|(([0-9]{1,3}\\.){3}[0-9]{1,3}|([0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F.]{0,15}))$");
/// A port, or an address with a port.
pub(crate) const LISTEN: Kind =
    Kind::Any(&[Kind::Whole(1, 65_535), Kind::TextLike("^(\\[[0-9a-fA-F:.]+\\]:|[0-9.]+:)?0*[1-9][0-9]{0,4}$")]);
/// `os/arch` or `os/arch/variant`.
pub(crate) const PLATFORM: Kind = Kind::TextLike("^[a-zA-Z0-9]+/[a-zA-Z0-9]+(/[a-zA-Z0-9]+)?$");
/// A signal.
pub(crate) const SIGNAL: Kind =
    Kind::Any(&[Kind::TextLike("^([A-Z][A-Z0-9+-]*|[1-9]|[1-5][0-9]|6[0-4])$"), Kind::Whole(1, 64)]);
/// A capability.
pub(crate) const CAPABILITY: Kind = Kind::Like("^[A-Za-z0-9_]+$");
/// A device of the host.
pub(crate) const DEVICE: Kind = Kind::TextLike("^/[^:]*(:[^:]*){0,2}$");
/// A path of the host, mounted read-only; a writable one is an object.
pub(crate) const MOUNT: Kind = Kind::TextLike("^/[^:]*:/[^:]*:ro$");
/// A volume, mounted read-only; a writable one is an object.
pub(crate) const VOLUME: Kind = Kind::TextLike("^[a-zA-Z0-9][a-zA-Z0-9_.-]*:/[^:]*:ro$");
/// An entry for `/etc/hosts`.
pub(crate) const HOST: Kind = Kind::TextLike(
    "^[^:=\\s]+[:=](host-gateway|(([0-9]{1,3}\\.){3}[0-9]{1,3}|([0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F.]{0,15}))$",
);
/// `KEY=VALUE`.
pub(crate) const PAIR: Kind = Kind::TextLike("=");
/// A path inside that lives in memory, perhaps with options.
pub(crate) const TMPFS: Kind = Kind::TextLike("^/");
/// CPUs.
pub(crate) const CPUS: Kind = Kind::Any(&[Kind::Number(0.0, 9_000_000_000.0), Kind::TextLike("^[0-9]+(\\.[0-9]+)?$")]);
