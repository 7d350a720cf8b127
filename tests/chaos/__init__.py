"""What a crash may not cost: a random run with kills, and a checker that was not there."""
