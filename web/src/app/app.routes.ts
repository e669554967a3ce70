import type { Routes } from '@angular/router';

export const routes: Routes = [
  {
    path: 'login',
    title: 'Log in – Coppice',
    loadComponent: () => import('./login/login.page').then(m => m.LoginPage),
  },
  {
    path: 'services',
    title: 'Services – Coppice',
    loadComponent: () => import('./services/services.page').then(m => m.ServicesPage),
  },
  {
    path: 'services/:id',
    loadComponent: () => import('./service/service.page').then(m => m.ServicePage),
    loadChildren: () => import('./service/service.routes').then(m => m.serviceRoutes),
  },
  {
    path: 'access',
    title: 'Access – Coppice',
    loadComponent: () => import('./access/access.page').then(m => m.AccessPage),
  },
  { path: '**', redirectTo: 'services' },
];
