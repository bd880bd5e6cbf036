//! The terminal: taken over, given back at every end, and its keys.

use std::io;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use super::screen::draw;
use super::view::{Key, View};

/// How long the reader of keys waits before it looks whether anybody still listens.
const PATIENCE: Duration = Duration::from_millis(200);

/// What a person did at the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// Pressed this.
    Key(Key),
    /// Something that needs the screen drawn anew: another size.
    Resized,
}

/// A terminal that is ours until this is dropped; a panic gives it back too.
pub(super) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal over.
    pub(super) fn open() -> io::Result<Self> {
        // It also hooks itself before what a panic prints.
        Ok(Self { terminal: ratatui::try_init()? })
    }

    /// Shows this.
    pub(super) fn show(&mut self, view: &View) -> io::Result<()> {
        self.terminal.draw(|frame| draw(view, frame.area(), frame.buffer_mut())).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What a person does, until the receiver is dropped.
pub(super) fn inputs() -> mpsc::Receiver<Input> {
    let (sender, receiver) = mpsc::channel(16);
    // Keys are read by a thread that blocks: it ends by itself, and nobody waits for it.
    std::thread::spawn(move || {
        while !sender.is_closed() {
            let input = match event::poll(PATIENCE) {
                Ok(true) => event::read(),
                Ok(false) => continue,
                Err(error) => Err(error),
            };
            let Ok(input) = input else { return };
            if let Some(input) = meaning(&input)
                && sender.blocking_send(input).is_err()
            {
                return;
            }
        }
    });
    receiver
}

fn meaning(event: &Event) -> Option<Input> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key_of(key).map(Input::Key),
        Event::Resize(..) => Some(Input::Resized),
        _ => None,
    }
}

fn key_of(key: &KeyEvent) -> Option<Key> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return matches!(key.code, KeyCode::Char('c' | 'd')).then_some(Key::Quit);
    }
    match key.code {
        KeyCode::Up | KeyCode::Char('k') => Some(Key::Up),
        KeyCode::Down | KeyCode::Char('j') => Some(Key::Down),
        KeyCode::Char('r') => Some(Key::Restart),
        KeyCode::Char('l') | KeyCode::Enter => Some(Key::Logs),
        KeyCode::Esc => Some(Key::Back),
        KeyCode::Char('q') => Some(Key::Quit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_foot_says() {
        let pressed = |code, modifiers| meaning(&Event::Key(KeyEvent::new(code, modifiers)));
        for (code, expected) in [
            (KeyCode::Up, Some(Key::Up)),
            (KeyCode::Char('k'), Some(Key::Up)),
            (KeyCode::Down, Some(Key::Down)),
            (KeyCode::Char('j'), Some(Key::Down)),
            (KeyCode::Char('r'), Some(Key::Restart)),
            (KeyCode::Char('l'), Some(Key::Logs)),
            (KeyCode::Enter, Some(Key::Logs)),
            (KeyCode::Esc, Some(Key::Back)),
            (KeyCode::Char('q'), Some(Key::Quit)),
            (KeyCode::Char('x'), None),
        ] {
            assert_eq!(pressed(code, KeyModifiers::NONE), expected.map(Input::Key), "{code:?}");
        }
        assert_eq!(pressed(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Input::Key(Key::Quit)));
        assert_eq!(pressed(KeyCode::Char('r'), KeyModifiers::CONTROL), None, "it is not r");
    }
}
