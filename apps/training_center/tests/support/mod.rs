//! Code that the browser tests share: the Training Center as a program and in this process, its pages, and a network that can be cut.

// Each test file is a program of its own and uses a part of this module.
#![allow(dead_code)]

pub(crate) mod hall;
pub(crate) mod network;
pub(crate) mod pages;
pub(crate) mod program;
