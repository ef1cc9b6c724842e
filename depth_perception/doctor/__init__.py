"""What is wrong with a live graph, and how to mend it: facts to findings, without ROS."""
