//! What a manifest may contain, as tables. The decoder refuses what is not in them and the JSON Schema is made from them, so
//! that the two cannot drift apart.

/// An object of the manifest.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Name of its definition in the schema, unique.
    pub(crate) name: &'static str,
    /// What it is, one sentence.
    pub(crate) doc: &'static str,
    /// Its fields, in groups that objects may share.
    pub(crate) groups: &'static [&'static [Field]],
}

impl Shape {
    /// All fields.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.groups.iter().flat_map(|g| g.iter())
    }

    /// The field of that name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields().find(|f| f.name == name)
    }
}

/// One field of an object.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    /// What it means, for people who write manifests.
    pub(crate) doc: &'static str,
    /// A legal value, as YAML on one line.
    pub(crate) example: &'static str,
    /// What counts when it is not written, as YAML on one line; "" when nothing does.
    pub(crate) default: &'static str,
}

impl Field {
    /// An optional field.
    pub(crate) const fn new(name: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Self {
        Self { name, kind, required: false, doc, example, default: "" }
    }
    /// It must be written.
    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }
    /// What counts when it is not written.
    pub(crate) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }
}

/// What a value may be. Leaves that are not text may also be a text with a variable, which is typed once it is filled in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Any scalar, taken as it is written.
    Text,
    /// A scalar, taken as it is written, whose text matches this regular expression.
    Like(&'static str),
    /// The same, but a number or a flag never is one.
    TextLike(&'static str),
    /// Lower-case letters, digits and hyphens, starting with a letter, at most 40.
    Name,
    /// Exactly this text.
    Exactly(&'static str),
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number between these.
    Whole(i64, i64),
    /// A number above the first and below the second.
    Number(f64, f64),
    /// 15m, 1h30m, 500ms.
    Duration,
    /// 512m, 2g.
    Size,
    /// 0.5%, always with the sign.
    Percent,
    /// A number of percent, the sign is optional.
    Weight,
    /// An octal file mode.
    Mode,
    /// A mapping of texts.
    Texts,
    /// A list.
    List(&'static Kind),
    /// One or a list.
    OneOrMany(&'static Kind),
    /// A mapping of names to something.
    MapOf(&'static Kind),
    /// An object.
    Object(&'static Shape),
    /// Any of these.
    Any(&'static [Kind]),
}

impl Kind {
    /// Notes the objects that a value of this kind may be or hold.
    pub(crate) fn objects(&self, found: &mut Vec<&'static Shape>) {
        match *self {
            Self::Object(shape) => found.push(shape),
            Self::List(kind) | Self::OneOrMany(kind) | Self::MapOf(kind) => kind.objects(found),
            Self::Any(kinds) => kinds.iter().for_each(|kind| kind.objects(found)),
            Self::Text
            | Self::Like(_)
            | Self::TextLike(_)
            | Self::Name
            | Self::Exactly(_)
            | Self::Choice(_)
            | Self::Flag
            | Self::Whole(..)
            | Self::Number(..)
            | Self::Duration
            | Self::Size
            | Self::Percent
            | Self::Weight
            | Self::Mode
            | Self::Texts => {}
        }
    }
}
