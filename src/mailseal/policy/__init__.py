"""What shall happen to a mail, and why: settings, triggers, decide, plan. Pure: no key, no store, no clock."""
