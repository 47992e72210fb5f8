"""What codes and ratings are good for beside storing."""
