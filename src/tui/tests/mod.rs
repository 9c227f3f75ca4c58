//! Tests of the terminal UI without a terminal.
