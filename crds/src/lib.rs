//! The policy API as users write it, and its conversion into the domain.
