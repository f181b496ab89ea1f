/** Which page a path shows. */
import { lazy, Suspense } from 'react';
import { Link, Route, Switch } from 'wouter';
import { DashboardPage } from '../dashboard/DashboardPage';
import { HomePage } from '../home/HomePage';
import { Loading, Message } from '../ui/States';
import { Shell } from './Shell';

// The editor is half of the app's code and most visits do without.
const ExplorePage = lazy(() => import('../explore/ExplorePage'));
const AlertsPage = lazy(() => import('../alerts/AlertsPage'));
const ClusterPage = lazy(() => import('../cluster/ClusterPage'));

export function App() {
  return (
    <Shell>
      <Suspense fallback={<Loading />}>
        <Switch>
          <Route path="/"><HomePage /></Route>
          <Route path="/d/:uid">{({ uid }) => <DashboardPage key={uid} uid={decodeURIComponent(uid)} />}</Route>
          <Route path="/explore"><ExplorePage /></Route>
          <Route path="/alerts"><AlertsPage /></Route>
          <Route path="/cluster"><ClusterPage /></Route>
          <Route>
            <Message icon="search" title="There is no such page"><Link href="/">Back to the overview</Link></Message>
          </Route>
        </Switch>
      </Suspense>
    </Shell>
  );
}
