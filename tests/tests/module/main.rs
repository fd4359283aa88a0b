//! The built module, loaded by libpam: every answer, every argument and every log line of its contract, and what it
//! may never do to its host.

mod arguments;
mod codes;
mod files;
mod first_login;
mod guest;
mod hooks;
mod hostile;
mod hosts;
mod journal;
mod local;
mod memory;
mod moving;
mod passwords;
mod prompts;
mod remembered;
mod requests;
mod rules;
