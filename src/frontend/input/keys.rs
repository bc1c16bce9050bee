//! Keys, whatever their source.

/// One act of the user: a key, a paste, the mouse, another size of the window. No source makes all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the keys say it")]
pub enum Key {
    Char(char),
    /// A letter with Ctrl, in lower case.
    Ctrl(char),
    /// A letter with Alt, or after the escape key.
    Alt(char),
    Enter,
    /// Enter with Alt: begins another line of the same message.
    Newline,
    Tab,
    BackTab,
    Backspace,
    AltBackspace,
    Delete,
    Left,
    Right,
    WordLeft,
    WordRight,
    Up,
    Down,
    Home,
    End,
    CtrlHome,
    CtrlEnd,
    PageUp,
    PageDown,
    /// The escape key alone.
    Escape,
    F(u8),
    /// Text that the terminal marks as pasted.
    Paste(String),
    /// A paste that the decoder dropped because of its length.
    PasteTooLong {
        /// Its length.
        bytes: u64,
    },
    /// The window has this many columns and rows.
    Resize(u16, u16),
    WheelUp,
    WheelDown,
    /// The column and the row.
    Click(u16, u16),
}
