"""Pages for people: what each one shows, and how it is rendered."""
