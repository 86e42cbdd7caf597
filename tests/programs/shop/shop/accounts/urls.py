from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from shop.accounts import views

urlpatterns = [
    path(
        "login/", LoginView.as_view(template_name="accounts/login.html"), name="login"
    ),
    path("logout/", LogoutView.as_view(next_page="home"), name="logout"),
    path("sign-up/", views.sign_up, name="sign-up"),
    path("profile/", views.profile, name="profile"),
]
