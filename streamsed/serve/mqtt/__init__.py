"""What is detected, as MQTT messages: for Home Assistant and for whoever subscribes."""
