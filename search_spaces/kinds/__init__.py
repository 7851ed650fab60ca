"""What a letter of a placement stands for; a kind is one file and one line here."""
