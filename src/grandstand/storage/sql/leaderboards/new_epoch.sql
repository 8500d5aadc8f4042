SELECT nextval('leaderboard_epochs')
