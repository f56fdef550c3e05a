"""What joins mediagen to other programs: added by a line in a site, with an extra each; nothing else imports it."""
